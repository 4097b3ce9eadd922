"""Rows of another program: which are believed, and why the others are not; months without a hole between them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal as D
from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.collectors.takeover import SOURCE, Scope, Takeover, judge_candle, judge_metric, months
from src.model import (
    DAY_MS,
    FIVE_MINUTES_MS,
    MINUTE_MS,
    Authority,
    Candle,
    FuturesMetric,
    Listing,
    WriteResult,
)
from src.ports import ForeignRow

OPEN_MS = 29_856_383 * MINUTE_MS
LISTED = [Listing("BTCUSDT", OPEN_MS - DAY_MS, OPEN_MS + DAY_MS)]
ROW: ForeignRow = (OPEN_MS, 10.0, 12.0, 9.0, 11.0, 5.0, 50.0, 7, 2.0, 20.0, True)


def changed(**values: object) -> ForeignRow:
    names = (
        "open_ms",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "quote",
        "trades",
        "taker",
        "taker_quote",
        "closed",
    )
    row = dict(zip(names, ROW, strict=True)) | values
    return tuple(row.values())


def test_a_good_row_is_a_candle_of_the_least_authority() -> None:
    candle = judge_candle("BTCUSDT", ROW, LISTED)
    assert candle == Candle(
        "BTCUSDT", OPEN_MS, 10.0, 12.0, 9.0, 11.0, 5.0, 50.0, 7, 2.0, 20.0, SOURCE, Authority.FOREIGN
    )
    assert isinstance(candle, Candle)
    for authority in (Authority.STREAM, Authority.REST, Authority.ARCHIVE):
        assert replace(candle, authority=authority, source="x").rank > candle.rank


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"open_ms": OPEN_MS + 1}, "not_a_minute"),
        ({"closed": False}, "still_open"),
        ({"open_ms": OPEN_MS + 2 * DAY_MS}, "outside_listing"),
        ({"close": None}, "incomplete"),
        ({"volume": None}, "incomplete"),
        ({"low": 0.0}, "price"),
        ({"low": 10.5}, "price"),
        ({"high": 10.5}, "price"),
        ({"high": inf}, "price"),
        ({"open": nan}, "price"),
        ({"close": nan}, "price"),
        ({"low": nan}, "price"),
        ({"high": nan}, "price"),
        ({"volume": -1.0}, "volume"),
        ({"volume": nan}, "volume"),
        ({"quote": -1.0}, "volume"),
        ({"quote": inf}, "volume"),
        ({"trades": -1}, "volume"),
        ({"taker": 5.1}, "volume"),
        ({"taker": nan}, "volume"),
    ],
)
def test_a_bad_row_is_refused_with_a_reason(values: dict[str, object], reason: str) -> None:
    assert judge_candle("BTCUSDT", changed(**values), LISTED) == reason


def test_null_is_not_zero() -> None:
    candle = judge_candle(
        "BTCUSDT", changed(quote=None, trades=None, taker=None, taker_quote=None, closed=None), LISTED
    )
    assert isinstance(candle, Candle)
    assert candle.values == (10.0, 12.0, 9.0, 11.0, 5.0, None, None, None, None)


def test_a_symbol_without_a_listing_is_outside_it() -> None:
    assert judge_candle("OTHERUSDT", ROW, []) == "outside_listing"


@given(st.integers(0, 4_000_000_000_000), st.integers(0, 3_000 * DAY_MS))
def test_months_cover_everything_once(since_ms: int, length_ms: int) -> None:
    found = list(months(since_ms, since_ms + length_ms))
    if not length_ms:
        assert found == []
        return
    assert found[0][1] <= since_ms < found[0][2]
    assert found[-1][1] < since_ms + length_ms <= found[-1][2]
    for (_, _, end), (_, start, _) in pairwise(found):
        assert end == start
    for month, start, _ in found:
        assert month.day == 1
        assert datetime.fromtimestamp(start / 1000, UTC) == datetime(month.year, month.month, 1, tzinfo=UTC)


def test_december_is_followed_by_january() -> None:
    start = int(datetime(2025, 12, 31, tzinfo=UTC).timestamp() * 1000)
    assert [month for month, _, _ in months(start, start + 2 * DAY_MS)] == [
        date(2025, 12, 1),
        date(2026, 1, 1),
    ]


END_MS = OPEN_MS // FIVE_MINUTES_MS * FIVE_MINUTES_MS


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((END_MS + 60_000, D(1), None, None, None, None, None, True), "not_a_period"),
        ((END_MS, D(1), None, None, None, None, None, False), "still_open"),
        ((END_MS + 2 * DAY_MS, D(1), None, None, None, None, None, True), "outside_listing"),
        ((END_MS, None, None, None, None, None, None, True), "incomplete"),
        ((END_MS, D(1), D("NaN"), None, None, None, None, True), "value"),
        ((END_MS, D(1), None, D("Infinity"), None, None, None, True), "value"),
        ((END_MS, D(1), None, None, D(-1), None, None, True), "value"),
    ],
)
def test_a_bad_metric_is_refused_with_a_reason(row: ForeignRow, reason: str) -> None:
    assert judge_metric("BTCUSDT", row, LISTED) == reason


def test_a_metric_keeps_its_digits_and_its_nulls() -> None:
    metric = judge_metric("BTCUSDT", (END_MS, D("1.230"), None, D(0), None, None, D("0.9"), None), LISTED)
    assert isinstance(metric, FuturesMetric)
    assert metric.values == (D("1.230"), None, D(0), None, None, D("0.9"))
    assert (metric.end_ms, metric.authority) == (END_MS, Authority.FOREIGN)


def test_the_first_period_of_a_listing_ends_inside_it() -> None:
    listed = [Listing("BTCUSDT", END_MS, END_MS + DAY_MS)]
    row: ForeignRow = (END_MS, D(1), None, None, None, None, None, True)
    assert judge_metric("BTCUSDT", row, listed) == "outside_listing"
    assert isinstance(judge_metric("BTCUSDT", (END_MS + FIVE_MINUTES_MS, *row[1:]), listed), FuturesMetric)


class Minutes:
    """Another program's table: the first minute of each month of one symbol."""

    def __init__(self, *starts: datetime) -> None:
        self._times = [int(start.timestamp() * 1000) for start in starts]

    async def symbols(self) -> list[str]:
        return ["GONEUSDT"]

    async def span(self, symbol: str) -> tuple[int, int] | None:
        return self._times[0], self._times[-1]

    async def rows(self, symbol: str, since_ms: int, until_ms: int) -> AsyncGenerator[list[ForeignRow], None]:
        yield [(ms, *ROW[1:]) for ms in self._times if since_ms <= ms < until_ms]


class Notes:
    """What was noted, in memory."""

    def __init__(self) -> None:
        self.months: set[tuple[str, date]] = set()

    async def done(self) -> set[tuple[str, date]]:
        return set(self.months)

    async def note(self, symbol: str, month: date, *, rows_read: int, inserted: int, refused: int) -> None:
        self.months.add((symbol, month))


async def test_a_contract_that_becomes_known_later_is_taken_over_then() -> None:
    table = Minutes(*(datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3)))
    notes, everything = Notes(), Scope(lambda _: True, 0, 4_000_000_000_000)

    async def write(candles: Sequence[Candle]) -> WriteResult:
        return WriteResult(len(candles), 0, 0)

    refused = await Takeover(table, judge_candle, write, notes, {}).run(everything)
    assert (refused.inserted, dict(refused.refused)) == (0, {"outside_listing": 3})
    assert notes.months == set(), "the same command reads them again"
    listed = {"GONEUSDT": [Listing("GONEUSDT", 0, 4_000_000_000_000)]}
    taken = await Takeover(table, judge_candle, write, notes, listed).run(everything)
    assert (taken.inserted, taken.months_known) == (3, 0)
    assert {month.month for _, month in notes.months} == {1, 2}, "the last one may still grow"
