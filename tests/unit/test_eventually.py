from __future__ import annotations

import pytest

from tests.support.eventually import eventually


async def test_the_first_truthy_value_is_returned() -> None:
    answers = iter([None, 0, "", "there"])
    assert await eventually(lambda: next(answers)) == "there"


async def test_a_coroutine_function_is_awaited() -> None:
    answers = iter([0, 7])

    async def condition() -> int:
        return next(answers)

    assert await eventually(condition) == 7


async def test_an_assertion_inside_means_not_yet() -> None:
    seen: list[int] = []

    def condition() -> bool:
        seen.append(1)
        assert len(seen) == 3
        return True

    assert await eventually(condition)
    assert len(seen) == 3


async def test_when_time_is_up_it_says_what_was_awaited_and_seen() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.05 s: a row; last: \[\]"):
        await eventually(list, timeout=0.05, message="a row")


async def test_another_error_is_raised_at_once() -> None:
    calls: list[int] = []

    def condition() -> bool:
        calls.append(1)
        raise KeyError("gone")

    with pytest.raises(KeyError):
        await eventually(condition)
    assert calls == [1]
