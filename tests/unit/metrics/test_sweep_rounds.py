"""Round after round at the venue's budget: no row of any symbol is later than 25 min, and none is asked for twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from src.collectors.metrics.plan import newest_due
from src.collectors.metrics.sweep import MetricsSweep
from src.model import FIVE_MINUTES_MS, METRIC_COLUMNS, ArchiveFile, Authority, FuturesMetric, WriteResult
from src.ports.metrics import MetricSeries, Reach
from src.telemetry.metrics import Metrics
from tests.support.fakes import StepClock

SYMBOLS = tuple(f"S{number:03}USDT" for number in range(740))
REQUEST_S = 300 / 900
COLUMNS = {
    MetricSeries.OPEN_INTEREST: METRIC_COLUMNS[:2],
    MetricSeries.TOP_ACCOUNTS: METRIC_COLUMNS[2:3],
    MetricSeries.TOP_POSITIONS: METRIC_COLUMNS[3:4],
    MetricSeries.ACCOUNTS: METRIC_COLUMNS[4:5],
    MetricSeries.TAKER: METRIC_COLUMNS[5:],
}


class Listed:
    """All of them trade."""

    symbols = SYMBOLS


class Venue:
    """Every request costs its share of the budget in time; rows are there a minute after their period."""

    def __init__(self, clock: StepClock) -> None:
        self.clock = clock
        self.told: Counter[tuple[str, MetricSeries, int]] = Counter()

    async def between(
        self, series: MetricSeries, symbol: str, after_ms: int, until_ms: int
    ) -> list[FuturesMetric]:
        await self.clock.sleep(REQUEST_S)
        published_ms = self.clock.now_ms() - 60_000
        ends = range(after_ms + FIVE_MINUTES_MS, min(until_ms, published_ms) + 1, FIVE_MINUTES_MS)
        self.told.update((symbol, series, end_ms) for end_ms in ends)
        # The value is the symbol's own, so that the order of the round stays the same.
        values = dict.fromkeys(COLUMNS[series], Decimal(1000 - SYMBOLS.index(symbol)))
        return [FuturesMetric.of(symbol, end_ms, values, "x", Authority.REST) for end_ms in ends]


class Table:
    """Remembers when each row came; everything up to ``start_ms`` was there before."""

    def __init__(self, clock: StepClock) -> None:
        self.clock = clock
        self.start_ms = newest_due(clock.now_ms())
        self.came_ms: dict[tuple[str, int], int] = {}

    async def write(self, rows: Sequence[FuturesMetric]) -> WriteResult:
        for row in rows:
            self.came_ms.setdefault((row.symbol, row.end_ms), self.clock.now_ms())
        return WriteResult(len(rows), 0, 0)

    async def reach(self, since_ms: int) -> dict[str, Reach]:
        ends = dict.fromkeys(MetricSeries, self.start_ms)
        return {symbol: Reach(ends, Decimal(1000 - number)) for number, symbol in enumerate(SYMBOLS)}

    async def stored(self, symbol: str, after_ms: int, until_ms: int) -> list[FuturesMetric]:
        raise NotImplementedError

    async def write_file(
        self, file: ArchiveFile, sha256: str, size_bytes: int, rows: Sequence[FuturesMetric]
    ) -> WriteResult:
        raise NotImplementedError

    async def refuse_file(self, file: ArchiveFile, sha256: str, reason: str) -> None:
        raise NotImplementedError


async def test_no_row_of_740_symbols_is_later_than_25_minutes_in_any_round() -> None:
    clock, metrics = StepClock(), Metrics()
    venue, table = Venue(clock), Table(clock)
    sweep = MetricsSweep(venue, table, Listed(), clock, metrics)
    await sweep.load()
    until_ms = table.start_ms + 24 * FIVE_MINUTES_MS
    while clock.now_ms() < until_ms:
        if not await sweep.sweep():
            await clock.sleep(30)
    expected = {
        (symbol, end_ms)
        for symbol in SYMBOLS
        for end_ms in range(table.start_ms + FIVE_MINUTES_MS, until_ms - 25 * 60_000, FIVE_MINUTES_MS)
    }
    assert expected - table.came_ms.keys() == set()
    late = {key: (came_ms - key[1]) / 60_000 for key, came_ms in table.came_ms.items()}
    assert max(late.values()) <= 25
    assert set(venue.told.values()) == {1}
