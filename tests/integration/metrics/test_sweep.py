"""The sweep on the real database: complete, exact, nothing twice, and one series never costs the others."""

from __future__ import annotations

import asyncio
from typing import Any

from src.collectors.metrics.plan import newest_due
from src.model import FIVE_MINUTES_MS
from src.ports.metrics import MetricSeries
from tests.integration.timescale.helpers import fetch
from tests.support.eventually import eventually
from tests.support.metric_venue import row_of

from .world import world

SYMBOLS = ("BTCUSDT", "ETHUSDT", "币安人生USDT")
TAKER_COLUMN = 5


async def stored(url: str) -> dict[tuple[str, int], tuple[Any, ...]]:
    rows = await fetch(
        url,
        "SELECT symbol, (extract(epoch FROM create_time) * 1000)::bigint, sum_open_interest, sum_open_interest_value,"
        " count_toptrader_long_short_ratio, sum_toptrader_long_short_ratio, count_long_short_ratio,"
        " sum_taker_long_short_vol_ratio FROM binance_futures_metrics_5m",
    )
    return {(symbol, end_ms): tuple(values) for symbol, end_ms, *values in rows}


async def test_a_fresh_database_gets_what_rest_has_and_every_value_is_the_venues(database: str) -> None:
    async with world(database, SYMBOLS) as it:
        await it.sweep.load()
        due_ms = newest_due(it.clock.now_ms())
        assert await it.sweep.sweep() == 3
        found = await stored(database)
        assert len(found) >= 3 * 500
        for (symbol, end_ms), values in found.items():
            assert values == row_of(symbol, end_ms)
        assert {(symbol, due_ms) for symbol in SYMBOLS} <= found.keys()
        assert set(it.venue.requests.values()) == {1}
        assert it.count("metric_rows_total", source="binance_rest", result="inserted") == len(found)
        days = await fetch(database, "SELECT sum(have)::int FROM coverage_days WHERE dataset = 'metrics_5m'")
        assert days == [(len(found),)]


async def test_only_what_is_lacking_is_asked_for_and_nothing_comes_twice(database: str) -> None:
    """At speed 100 five periods pass in 15 s; each row of each series is told by the venue exactly once."""
    async with world(database, SYMBOLS[:2], speed=100) as it:
        running = asyncio.create_task(it.sweep.run(), name="sweep")
        try:
            since_ms = newest_due(it.clock.now_ms())

            async def three_more() -> bool:
                found = await stored(database)
                ends = [since_ms + number * FIVE_MINUTES_MS for number in range(1, 4)]
                return all(
                    found.get((symbol, end)) == row_of(symbol, end) for symbol in SYMBOLS[:2] for end in ends
                )

            await eventually(three_more, timeout=60)
        finally:
            running.cancel()
            await asyncio.wait({running})
        assert set(it.venue.rows_told.values()) == {1}
        assert it.count("metric_rows_repeated_total") == 0
        assert it.venue.refused == 0


async def test_after_a_restart_nothing_is_asked_for_again(database: str) -> None:
    async with world(database, SYMBOLS) as it:
        await it.sweep.load()
        await it.sweep.sweep()
        asked = it.venue.requests.total()
        again = it.again()
        await again.load()
        due_ms = newest_due(it.clock.now_ms())
        await again.sweep()
        new = it.venue.requests.total() - asked
        assert set(it.venue.rows_told.values()) == {1}
        if newest_due(it.clock.now_ms()) == due_ms:
            assert new == 0


async def test_c13_one_series_that_fails_costs_only_its_own_column_and_is_filled_later(database: str) -> None:
    """NULL and never 0 while it fails, all of it once it answers; the others lose nothing."""
    async with world(database, SYMBOLS) as it:
        it.venue.broken.add(MetricSeries.TAKER)
        await it.sweep.load()
        await it.sweep.sweep()
        found = await stored(database)
        assert len(found) >= 3 * 500
        for (symbol, end_ms), values in found.items():
            assert values[TAKER_COLUMN] is None
            assert values[:TAKER_COLUMN] == row_of(symbol, end_ms)[:TAKER_COLUMN]
        assert it.count("metric_requests_failed_total", series="taker", reason="server_error") == 3
        assert it.count("metric_series_resting", series="taker") == 1

        it.venue.broken.clear()
        again = it.again()
        await again.load()
        await again.sweep()
        for (symbol, end_ms), values in (await stored(database)).items():
            assert values == row_of(symbol, end_ms)


async def test_a_series_that_keeps_failing_is_left_alone(database: str) -> None:
    many = [f"S{number}USDT" for number in range(40)]
    async with world(database, many) as it:
        it.venue.broken.add(MetricSeries.ACCOUNTS)
        await it.sweep.load()
        await it.sweep.sweep()
        asked = sum(
            count for (_, series), count in it.venue.requests.items() if series is MetricSeries.ACCOUNTS
        )
        assert 3 <= asked <= 6, "three failures, and what was under way by then"
        assert sum(it.venue.requests.values()) == asked + 4 * len(many)


async def test_the_largest_open_interest_comes_first_with_the_limit_it_lacks(database: str) -> None:
    many = [f"S{number}USDT" for number in range(12)]
    async with world(database, many) as it:
        await it.sweep.load()
        await it.sweep.sweep()
        await fetch(
            database,
            "DELETE FROM binance_futures_metrics_5m"
            " WHERE create_time > (SELECT max(create_time) - interval '1 hour' FROM binance_futures_metrics_5m)",
        )
        reach = await it.store.reach(0)
        wanted = sorted(many, key=lambda symbol: -reach[symbol].value)
        it.venue.order.clear()
        it.venue.queries.clear()
        again = it.again()
        await again.load()
        await again.sweep()
        assert set(it.venue.order[:5]) <= set(wanted[:3])
        assert {query["limit"] for query in it.venue.queries} <= {"12", "13"}


async def test_a_symbol_that_the_venue_does_not_know_is_let_be(database: str) -> None:
    async with world(database, SYMBOLS) as it:
        it.venue.unknown.add("ETHUSDT")
        await it.sweep.load()
        await it.sweep.sweep()
        assert {symbol for symbol, _ in await stored(database)} == {"BTCUSDT", "币安人生USDT"}
        asked = it.venue.requests.total()
        await it.sweep.sweep()
        assert it.venue.requests.total() <= asked + 10
        assert it.count("metric_series_resting", series="taker") == 0


async def test_a_429_stops_the_round_and_nothing_is_lost(database: str) -> None:
    many = [f"S{number}USDT" for number in range(10)]
    async with world(database, many, speed=20, limit=20) as it:
        running = asyncio.create_task(it.sweep.run(), name="sweep")
        try:
            await eventually(lambda: it.venue.refused > 0, timeout=60)
            it.venue.limit = 1000

            async def all_there() -> bool:
                found = await stored(database)
                return {symbol for symbol, _ in found} == set(many) and all(
                    values == row_of(*key) for key, values in found.items()
                )

            await eventually(all_there, timeout=60)
        finally:
            running.cancel()
            await asyncio.wait({running})
        assert it.venue.refused <= 15, "those under way, and no more"
