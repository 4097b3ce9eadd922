"""The parts of an account add up, its shares make exactly 100 %, and what is not due yet is counted to the minute."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from src.cli.coverage.accounting import GRACE_MS, Account, day_of, not_due, shares, total
from src.model import DAY_MS, FIVE_MINUTES_MS, MINUTE_MS, Dataset, Listing

NOW_MS = 1_764_115_200_000
"""A midnight UTC."""


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    have, absent, expired, rest = (draw(st.integers(0, 2000)) for _ in range(4))
    account = Account(have + absent + expired + rest, have, 0, absent, expired, draw(st.integers(0, 5)))
    return account.with_pending(draw(st.integers(-5, 3000)))


@given(st.lists(accounts(), max_size=8))
def test_the_parts_add_up_alone_and_together(all_of_them: list[Account]) -> None:
    for account in [*all_of_them, total(all_of_them)]:
        assert sum(account.parts.values()) == account.expected
        assert min(account.parts.values()) >= 0


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=5))
def test_shares_add_up_to_a_hundred(rows: list[int]) -> None:
    parts = {str(number): count for number, count in enumerate(rows)}
    found = shares(parts)
    assert sum(round(share * 1000) for share in found.values()) == (100_000 if sum(rows) else 0)
    for name, count in parts.items():
        assert abs(found[name] - 100 * count / max(sum(rows), 1)) <= 0.001


@st.composite
def listings(draw: st.DrawFn) -> list[Listing]:
    edges = sorted(draw(st.sets(st.integers(NOW_MS - 3 * DAY_MS, NOW_MS + 2 * DAY_MS), max_size=4)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    return [Listing("A", start, end) for start, end in pairs]


@given(listings(), st.integers(NOW_MS - DAY_MS, NOW_MS + DAY_MS))
def test_candles_not_due_yet(intervals: list[Listing], now_ms: int) -> None:
    """Naive twin: every minute of yesterday and today, one by one."""
    expected: dict[date, int] = {}
    today_ms = now_ms // DAY_MS * DAY_MS
    for open_ms in range(today_ms - DAY_MS, today_ms + DAY_MS, MINUTE_MS):
        due = open_ms + MINUTE_MS + GRACE_MS <= now_ms
        if not due and any(listing.expects(open_ms) for listing in intervals):
            expected[day_of(open_ms)] = expected.get(day_of(open_ms), 0) + 1
    assert not_due(Dataset.CANDLES, intervals, now_ms) == expected


def test_metrics_not_due_yet_count_from_the_start_of_their_period() -> None:
    always = [Listing("A", 0, NOW_MS * 2)]
    assert not_due(Dataset.METRICS, always, NOW_MS + GRACE_MS) == {day_of(NOW_MS): 288}
    # Two minutes past midnight: the row of 00:00 is yesterday's last, and not five minutes old.
    assert not_due(Dataset.METRICS, always, NOW_MS + 2 * MINUTE_MS) == {
        day_of(NOW_MS - 1): 1,
        day_of(NOW_MS): 288,
    }
    assert not_due(Dataset.METRICS, always, NOW_MS + GRACE_MS + FIVE_MINUTES_MS) == {day_of(NOW_MS): 287}
    assert not_due(Dataset.FUNDING, always, NOW_MS) == {}
