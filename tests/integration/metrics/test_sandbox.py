"""The sweep against the sandbox exchange: its truth ends up in the table."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from src.adapters.binance.alpha import AlphaList
from src.adapters.timescale.alpha_store import AlphaStore
from src.adapters.timescale.metrics.funding import FundingStore
from src.collectors.listings.alpha import AlphaKeeper
from src.collectors.metrics.funding import FundingCollector
from src.model import DAY_MS, FIVE_MINUTES_MS
from tests.integration.timescale.helpers import fetch
from tests.support.eventually import eventually

from .sandbox_world import stored, world


async def test_every_row_of_every_symbol_arrives_as_the_venue_has_it(database: str) -> None:
    """At speed 100 three periods pass in nine seconds."""
    async with world(database, symbols=8, speed=100) as it:
        begun_ms = it.clock.now_ms() // FIVE_MINUTES_MS * FIVE_MINUTES_MS
        running = asyncio.create_task(it.sweep().run(), name="sweep")
        try:

            async def three_more() -> bool:
                found = await stored(database)
                expected = it.truth(begun_ms - DAY_MS, begun_ms + 3 * FIVE_MINUTES_MS)
                ends = {end_ms for _, end_ms in expected}
                return begun_ms + 3 * FIVE_MINUTES_MS in ends and all(
                    found.get(key) == values for key, values in expected.items()
                )

            await eventually(three_more, timeout=60)
        finally:
            running.cancel()
            await asyncio.wait({running})
        value = it.metrics.registry.get_sample_value
        assert value("marketd_metric_rows_repeated_total") == 0
        assert not value("marketd_rest_requests_total", {"endpoint": "takerlongshortRatio", "code": "429"})


async def test_funding_and_the_alpha_list_are_the_sandboxes(database: str) -> None:
    async with world(database, symbols=12) as it:
        since_ms = it.clock.now_ms() - 5 * DAY_MS
        funding = FundingCollector(
            it.rest, FundingStore(it.session), it.listed, it.clock, it.metrics, since=lambda _: since_ms
        )
        await funding.look()
        rows = await fetch(
            database,
            "SELECT symbol, (extract(epoch FROM funding_time) * 1000)::bigint, funding_rate, mark_price,"
            " interval_hours::int FROM funding_rates",
        )
        found = {(symbol, ms): tuple(rest) for symbol, ms, *rest in rows}
        first: set[str] = set()
        expected = 0
        for symbol in it.listed.symbols:
            for one in it.sandbox.funding_truth(symbol, since_ms, it.clock.now_ms() - 120_000):
                rate, price, hours = found[symbol, one.time_ms // 1000 * 1000]
                assert rate == Decimal(one.rate)
                assert price == (Decimal(one.mark_price) if one.mark_price else None)
                assert hours == (one.interval_hours if symbol in first else None)
                first.add(symbol)
                expected += 1
        assert expected > 100
        assert len(found) >= expected

        keeper = AlphaKeeper(
            AlphaList(it.sandbox.alpha_url, it.clock, it.metrics),
            AlphaStore(it.session),
            it.clock,
            it.metrics,
        )
        assert await keeper.refresh()
        ((tokens, flagged),) = await fetch(
            database,
            "SELECT count(*)::int, (SELECT count(*)::int FROM instruments WHERE alpha) FROM alpha_tokens",
        )
        assert tokens > 0
        assert flagged == 0, "no contract is recorded here"
