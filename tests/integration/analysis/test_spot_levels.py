"""Levels with bars of the venue: of spot, each range asked for once, in batches; of futures for holes only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from src.adapters.binance.rest.bars import FUTURES, SPOT, BarsRest, bar_row
from src.adapters.binance.rest.client import RestOptions
from src.adapters.kernels import KernelOptions, KernelPool
from src.adapters.rate_limiter import Budgets
from src.adapters.timescale.options import DatabaseOptions
from src.analysis.jobs import Context
from src.analysis.levels.jobs import kind, market_of, spot_market
from src.clock import VenueClock
from src.errors import BadData, UnknownSymbol
from src.model import Task
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox
from src.telemetry.metrics import Metrics
from tests import naive_levels
from tests.integration.analysis.level_world import SOURCE, level_world, moment
from tests.integration.analysis.test_level_task import Told

START_MS = 1_780_000_020_000
PERIOD_MS = 300_000
CLOSED_MS = START_MS // PERIOD_MS * PERIOD_MS


@dataclass
class World:
    sandbox: Sandbox
    bars: BarsRest
    futures: BarsRest
    kernels: KernelPool
    metrics: Metrics
    told: Told = field(default_factory=Told)

    async def do(self, **parameters: Any) -> Mapping[str, Any]:
        made = kind(SOURCE, futures=self.futures, spot=self.bars)
        asked = {"market_type": "spot", "timeframe": "5m", "symbol": "BTCUSDT", **parameters}
        context = Context(
            Task("levels-1", made.name, asked, requested_by="a test"),
            self.told,  # type: ignore[arg-type]
            self.kernels,
            made.deadline_s,
        )
        return await made.run(context, made.asked(asked))

    def requests(self) -> float:
        count = self.metrics.registry.get_sample_value(
            "marketd_rest_requests_total", {"endpoint": "klines", "code": "200"}
        )
        assert count is not None
        return count


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    venue = SandboxOptions(symbols=3, sleeper_share=0.0, start_ms=START_MS, history_days=10)
    async with Sandbox(venue) as sandbox:
        clock, metrics = VenueClock(), Metrics()
        clock.set(sandbox.now())
        options, budgets = RestOptions(base_url=sandbox.rest_url), Budgets(clock, metrics)
        bars = BarsRest(SPOT, options, budgets.spot, clock, metrics)
        futures = BarsRest(FUTURES, options, budgets.fapi, clock, metrics)
        await bars.open()
        await futures.open()
        kernels = KernelPool(KernelOptions(), DatabaseOptions(database))
        yield World(sandbox, bars, futures, kernels, metrics)
        await kernels.close()
        await bars.close()
        await futures.close()


async def test_levels_of_spot_are_of_the_venues_bars_asked_for_once(world: World, database: str) -> None:
    earlier_ms = CLOSED_MS - 10 * PERIOD_MS
    until = f"{earlier_ms / 1000:.0f}"
    done = await world.do(until=until)
    assert (done["symbols"], done["bars"]) == (1, 2000)
    assert world.requests() == 2
    assert world.told.lines[0] == "2000 bars of BTCUSDT 5m from the venue"

    await world.do(until=until)
    assert world.requests() == 2
    done = await world.do()
    assert world.requests() == 3
    assert "10 bars of BTCUSDT 5m from the venue" in world.told.lines
    assert done["to"] == moment(CLOSED_MS).strftime("%Y-%m-%dT%H:%M:%SZ")

    with level_world(database) as stored:
        rows = stored.fetch(
            "SELECT (extract(epoch FROM open_ts) * 1000)::bigint, (extract(epoch FROM close_ts) * 1000)::bigint,"
            " high, low, close, volume FROM bars WHERE exchange = 'binance_spot' ORDER BY open_ts"
        )
        assert len(rows) == 2010
        assert rows[-1][1] == CLOSED_MS
        stored.market = spot_market("5m")
        span_ms = 2000 * PERIOD_MS
        assert stored.known("BTCUSDT", earlier_ms) == naive_levels.levels(rows[:2000], span_ms)
        assert stored.known("BTCUSDT", CLOSED_MS) == naive_levels.levels(rows, span_ms)
        assert stored.fetch("SELECT exchange, market_type, input_limit FROM analysis_results") == [
            ("binance", "spot", 2000)
        ]


async def test_bars_of_the_venue_are_its_minutes_together(world: World) -> None:
    first_ms = CLOSED_MS - 3 * PERIOD_MS
    found = await world.bars.bars("BTCUSDT", "5m", PERIOD_MS, first_ms - 1, CLOSED_MS + 10 * PERIOD_MS)
    minutes = await world.bars.bars("BTCUSDT", "1m", 60_000, first_ms, CLOSED_MS)
    assert [bar.open_ms for bar in found] == [first_ms + place * PERIOD_MS for place in range(3)]
    for place, bar in enumerate(found):
        parts = minutes[place * 5 : place * 5 + 5]
        assert (bar.open, bar.close) == (parts[0].open, parts[-1].close)
        assert (bar.high, bar.low) == (max(part.high for part in parts), min(part.low for part in parts))
        assert bar.trade_count == sum(part.trade_count for part in parts)
        assert bar.volume == pytest.approx(sum(part.volume for part in parts))


async def test_of_futures_only_periods_are_asked_for_whose_minutes_are_missing(
    world: World, database: str
) -> None:
    all_bars = await world.futures.bars("BTCUSDT", "5m", PERIOD_MS, CLOSED_MS - 400 * PERIOD_MS, CLOSED_MS)
    rows = [(bar.open_ms, bar.close_ms, bar.high, bar.low, bar.close, bar.volume) for bar in all_bars]
    hole = range(100, 130)
    before = world.requests()
    with level_world(database) as stored:
        stored.market = market_of("5m", SOURCE)
        stored.listed("BTCUSDT", rows[0][0])
        stored.traded("BTCUSDT", [row for place, row in enumerate(rows) if place not in hole])
        # A day whose ledger says that all is there, or that it cannot be had: nobody is asked.
        await world.do(market_type="future")
        assert world.requests() == before
        assert stored.fetch("SELECT input_limit FROM analysis_results") == [(370,)]
        stored.fetch(
            "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, have)"
            " SELECT %s, 'candles_1m', 'BTCUSDT', day::date, 1440, 1290"
            " FROM generate_series(%s::date, %s::date, interval '1 day') AS day",
            SOURCE,
            moment(rows[0][0]),
            moment(rows[-1][0]),
        )
        await world.do(market_type="future")
        assert world.requests() == before + 1
        assert "30 bars of BTCUSDT 5m from the venue, for holes here" in world.told.lines
        assert stored.fetch("SELECT input_limit FROM analysis_results") == [(400,)]
        assert stored.known("BTCUSDT", CLOSED_MS) == naive_levels.levels(rows, 2000 * PERIOD_MS)
        assert stored.fetch("SELECT count(*) FROM bars") == [(370,)]

        # While the hole stands it is not asked for again, and what the venue said still counts.
        await world.do(market_type="future")
        assert world.requests() == before + 1
        assert stored.fetch("SELECT input_limit FROM analysis_results") == [(400,)]
        assert stored.fetch("SELECT count(*), count(close) FROM level_fetches") == [(30, 30)]


async def test_a_period_that_the_venue_has_not_is_asked_for_once_too(world: World, database: str) -> None:
    span: dict[str, Any] = {"market": market_of("5m", SOURCE), "symbol": "BTCUSDT"}
    bars = await world.futures.bars("BTCUSDT", "5m", PERIOD_MS, CLOSED_MS - 2 * PERIOD_MS, CLOSED_MS)
    for _ in range(2):
        await world.kernels.run(
            "analysis.levels.fetched:remember",
            deadline_s=60.0,
            **span,
            from_ms=CLOSED_MS - 4 * PERIOD_MS,
            to_ms=CLOSED_MS,
            bars=bars,
        )
    with level_world(database) as stored:
        assert stored.fetch("SELECT count(*), count(close) FROM level_fetches") == [(4, 2)]


async def test_a_symbol_that_spot_has_not_is_an_error(world: World) -> None:
    with pytest.raises(UnknownSymbol):
        await world.do(symbol="NOSUCHUSDT")


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (0, 1, "unasked"),
        (6, 300_000, "bad_time"),
        (2, "0.9", "bad_price"),
        (3, "0", "bad_price"),
        (5, "-1", "bad_volume"),
        (8, "7", "bad_number"),
        (1, "NaN", "bad_number"),
    ],
)
def test_a_row_that_cannot_be_is_refused(column: int, value: object, reason: str) -> None:
    row: list[object] = [0, "1.0", "1.2", "0.8", "1.1", "10", 299_999, "10.5", 3, "4", "4.2", "0"]
    wanted = range(0, 600_000, 300_000)
    assert bar_row(row, wanted)[:2] == (0, 300_000)
    row[column] = value
    with pytest.raises(BadData) as caught:
        bar_row(row, wanted)
    assert caught.value.reason == reason
