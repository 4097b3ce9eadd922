"""What the fault runs take for "not ready"."""

from __future__ import annotations

from tests.support.daemon import Readiness


def test_no_answer_is_not_the_word_that_it_is_not_ready() -> None:
    """A process that is paused or ended says nothing at all."""
    seen = Readiness()
    for status, text in ((200, "ready"), (0, "TimeoutError()"), (200, "ready")):
        seen.note(status, text)
    assert [ready for _, ready, _ in seen.changes] == [True, False, True]
    assert not seen.went_away
    assert not seen.came_back


def test_it_said_so_even_if_it_was_silent_before() -> None:
    seen = Readiness()
    for status, text in ((0, "refused"), (503, "no candle stored yet")):
        seen.note(status, text)
    assert seen.went_away
    assert not seen.came_back
    seen.note(200, "ready")
    assert seen.came_back
