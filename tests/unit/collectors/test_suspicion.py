from __future__ import annotations

from src.collectors.live.suspicion import Suspicion
from src.model import MINUTE_MS

ALL = [f"S{index:03}USDT" for index in range(200)]


def judge(suspicion: Suspicion, minute: int, silent: list[str]) -> list[str]:
    """The verdict at close + 30 s of that minute."""
    return suspicion.judge(minute * MINUTE_MS, silent, len(ALL), minute * MINUTE_MS + 90_000)


def make_suspicion() -> Suspicion:
    suspicion = Suspicion()
    suspicion.follow(ALL, 0)
    return suspicion


def test_one_dead_subscription_is_renewed_at_once() -> None:
    assert judge(make_suspicion(), 1, ALL[:1]) == ALL[:1]


def test_after_a_renewal_only_whole_minutes_count_again() -> None:
    suspicion = make_suspicion()
    verdicts = [judge(suspicion, minute, ALL[:1]) for minute in range(1, 8)]
    assert verdicts == [ALL[:1], [], ALL[:1], [], ALL[:1], [], ALL[:1]]


def test_a_connection_that_was_away_at_one_close_is_not_blamed() -> None:
    suspicion = make_suspicion()
    assert [
        judge(suspicion, minute, silent) for minute, silent in ((1, ALL), (2, []), (3, ALL), (4, []))
    ] == [[]] * 4


def test_who_is_silent_in_the_next_minute_too_is_dead_and_all_get_their_turn() -> None:
    suspicion = make_suspicion()
    assert judge(suspicion, 1, ALL) == []
    second, third = judge(suspicion, 2, ALL), judge(suspicion, 3, ALL)
    assert second == ALL[:50]
    assert third == ALL[50:100]


def test_minutes_that_were_skipped_are_not_the_minute_before() -> None:
    suspicion = make_suspicion()
    assert [judge(suspicion, minute, ALL) for minute in (1, 3)] == [[], []]


def test_a_new_symbol_is_not_judged_by_the_minute_it_came_in() -> None:
    suspicion = make_suspicion()
    suspicion.follow([*ALL, "NEWUSDT"], 5 * MINUTE_MS + 1)
    assert judge(suspicion, 5, ["NEWUSDT"]) == []
    assert judge(suspicion, 6, ["NEWUSDT", "GONEUSDT"]) == ["NEWUSDT"]
