from __future__ import annotations

import signal
import threading

from src.cli.daemon import StopGuard


def test_what_does_not_stop_in_time_is_ended_with_the_signals_code() -> None:
    ended, codes = threading.Event(), list[int]()

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    StopGuard(0.01, end).start(signal.SIGTERM)
    assert ended.wait(30)
    assert codes == [143]


def test_what_stopped_by_itself_is_left_alone() -> None:
    ended = threading.Event()
    guard = StopGuard(60.0, lambda _: ended.set())
    guard.start(signal.SIGINT)
    before = threading.active_count()
    guard.cancel()
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(30)
    assert threading.active_count() < before
    assert not ended.is_set()


def test_cancelling_what_was_never_started_is_harmless() -> None:
    StopGuard().cancel()
