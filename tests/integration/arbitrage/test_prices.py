"""``ProcessPrices`` on the real database, against buckets that are filled one row after the other."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from math import isclose
from typing import Any

import pytest

from src.analysis.prices.compute import compute
from src.model import Pool
from tests.integration.arbitrage.world import END_MS, POOL, SMALL, START_MS, World, stored_world
from tests.integration.timescale.helpers import fetch
from tests.naive_arbitrage import never_back

FINAL_MS = END_MS - 60_000
Deal = tuple[int, float, float, float]


@pytest.fixture
async def world(database: str) -> World:
    return await stored_world(database)


def _process(world: World, pool: Pool = POOL, seconds: int = 60, **options: Any) -> dict[str, Any]:
    asked = {"start_ms": START_MS, "end_ms": END_MS, "overwrite": False, **options}
    return world.run(
        compute,
        exchange="binance_spot",
        symbol=None,
        chain=None,
        pool=pool.address,
        interval_seconds=seconds,
        **asked,
    )


async def _series(world: World, venue: str, seconds: int) -> list[tuple[Any, ...]]:
    return await fetch(
        world.url,
        "SELECT (extract(epoch FROM bucket_ts) * 1000)::bigint, open, high, low, close, vwap, volume, quote_volume,"
        " trade_count FROM price_series WHERE venue = %s AND interval_seconds = %s ORDER BY bucket_ts",
        [venue, seconds],
    )


def _buckets(deals: Iterable[Deal], seconds: int, from_ms: int, to_ms: int) -> list[tuple[Any, ...]]:
    """Only buckets that lie in [from_ms, to_ms) whole."""
    step, made = seconds * 1000, []
    for opened, rows in groupby(deals, lambda deal: deal[0] // step * step):
        members = list(rows)
        prices = [price for _, price, _, _ in members]
        volume = quote = 0.0
        for _, _, base_amount, quote_amount in members:
            volume += base_amount
            quote += quote_amount
        if from_ms <= opened and opened + step <= to_ms:
            made.append(
                (
                    opened,
                    prices[0],
                    max(prices),
                    min(prices),
                    prices[-1],
                    quote / volume,
                    volume,
                    quote,
                    len(prices),
                )
            )
    return made


def _traded(world: World) -> list[Deal]:
    trades = never_back([(trade.ts_ms, trade.price, trade.quantity) for trade in world.trades])
    return [(ts, price, quantity, price * quantity) for ts, price, quantity in trades]


def _swapped(world: World, pool: Pool) -> list[Deal]:
    deals = []
    for swap in world.swaps[pool.address]:
        amounts = (abs(swap.amount0) / 10.0**pool.decimals0, abs(swap.amount1) / 10.0**pool.decimals1)
        if swap.liquidity:
            deals.append((swap.block_ms, swap.price, amounts[pool.base], amounts[1 - pool.base]))
    return deals


@pytest.mark.parametrize("pool", [POOL, SMALL], ids=["base is token1", "base is token0"])
async def test_both_sides_are_what_their_rows_say(world: World, pool: Pool) -> None:
    trades, swaps = _traded(world), _swapped(world, pool)
    for seconds, least in ((1, 200), (60, 50), (3600, 1)):
        report = _process(world, pool, seconds)
        cex = _buckets(trades, seconds, world.trades[0].ts_ms, world.trades[-1].ts_ms)
        assert await _series(world, "binance_spot", seconds) == cex
        dex = _buckets(swaps, seconds, START_MS, FINAL_MS)
        assert await _series(world, "ethereum", seconds) == dex
        assert (report["cex"]["written"], report["dex"]["written"]) == (len(cex), len(dex))
        assert min(len(cex), len(dex)) >= least
        assert report["dex"]["without_liquidity"] > 0


async def test_twice_is_once_and_overwrite_mends(world: World) -> None:
    _process(world)
    before = [await _series(world, venue, 60) for venue in ("binance_spot", "ethereum")]
    again = _process(world)
    assert [again[side]["written"] for side in ("cex", "dex")] == [0, 0]
    await fetch(world.url, "UPDATE price_series SET close = low, vwap = low WHERE venue = 'ethereum'")
    _process(world)
    assert [await _series(world, venue, 60) for venue in ("binance_spot", "ethereum")] != before
    mended = _process(world, overwrite=True)
    assert [await _series(world, venue, 60) for venue in ("binance_spot", "ethereum")] == before
    assert mended["dex"]["deleted"] == mended["dex"]["written"] == len(before[1])


async def test_without_dates_each_side_goes_on_where_it_ends(world: World) -> None:
    _process(world)
    whole = [await _series(world, venue, 60) for venue in ("binance_spot", "ethereum")]
    await fetch(world.url, "DELETE FROM price_series WHERE true")
    first = _process(world, start_ms=None, end_ms=START_MS + 7 * 60_000)
    assert first["cex"]["written"] > 0
    begun = await _series(world, "ethereum", 60)
    assert 0 < len(begun) < len(whole[1])
    rest = _process(world, start_ms=None, end_ms=None)
    assert [await _series(world, venue, 60) for venue in ("binance_spot", "ethereum")] == whole
    assert rest["dex"]["made"] == rest["dex"]["written"] == len(whole[1]) - len(begun)
    nothing = _process(world, start_ms=None, end_ms=None)
    assert [nothing[side]["written"] for side in ("cex", "dex")] == [0, 0]


async def test_overwrite_leaves_what_lies_outside(world: World) -> None:
    _process(world, seconds=1)
    _process(world)
    before = await _series(world, "binance_spot", 1), await _series(world, "binance_spot", 60)
    report = _process(world, start_ms=START_MS + 301_000, end_ms=START_MS + 359_000, overwrite=True)
    assert report["cex"]["deleted"] == 1, "the minute that holds the range"
    assert (await _series(world, "binance_spot", 1), await _series(world, "binance_spot", 60)) == before


async def test_a_vwap_is_what_was_paid(world: World) -> None:
    _process(world)
    for row in await _series(world, "ethereum", 60):
        assert isclose(row[5], row[7] / row[6])
