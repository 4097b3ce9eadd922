"""Whether an archive day agrees with REST: rounding is no difference, a moved label is one."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from src.collectors.metrics.check import Verdict, compare
from src.model import FIVE_MINUTES_MS, METRIC_COLUMNS, Authority, FuturesMetric
from tests.support.metric_venue import row_of

ENDS = [1_800_000_000_000 + number * FIVE_MINUTES_MS for number in range(288)]


def day(*, shift: int = 0, flat: bool = False) -> list[FuturesMetric]:
    """A day whose rows bear the values of ``shift`` periods later."""
    found = []
    for end_ms in ENDS:
        values = row_of("BTCUSDT", 0 if flat else end_ms + shift * FIVE_MINUTES_MS)
        columns = dict(zip(METRIC_COLUMNS, values, strict=True))
        found.append(FuturesMetric.of("BTCUSDT", end_ms, columns, "x", Authority.REST))
    return found


def test_the_same_day_agrees_and_more_digits_are_no_difference() -> None:
    finer = [
        replace(row, sum_open_interest=(row.sum_open_interest or Decimal(0)) + Decimal("0.00004"))
        for row in day()
    ]
    assert compare(day(), day()) is Verdict.AGREES
    assert compare(finer, day()) is Verdict.AGREES


@pytest.mark.parametrize("shift", [-1, 1])
def test_labels_that_are_five_minutes_off_disagree(shift: int) -> None:
    assert compare(day(shift=shift), day()) is Verdict.DISAGREES


def test_the_taker_ratio_alone_may_be_off() -> None:
    moved = [
        replace(row, sum_taker_long_short_vol_ratio=other.sum_taker_long_short_vol_ratio)
        for row, other in zip(day(), day(shift=1), strict=True)
    ]
    assert compare(moved, day()) is Verdict.DISAGREES


def test_a_few_wrong_rows_are_forgiven_and_many_are_not() -> None:
    wrong = day(shift=7)
    assert compare(wrong[:20] + day()[20:], day()) is Verdict.AGREES
    assert compare(wrong[:40] + day()[40:], day()) is Verdict.DISAGREES


def test_what_cannot_be_compared_is_unknown() -> None:
    assert compare(day(), []) is Verdict.UNKNOWN
    assert compare(day()[:11], day()) is Verdict.UNKNOWN
    assert compare(day(flat=True), day(flat=True)) is Verdict.UNKNOWN, "any label would agree"
    no_taker = [replace(row, sum_taker_long_short_vol_ratio=None) for row in day()]
    assert compare(no_taker, day()) is Verdict.UNKNOWN
