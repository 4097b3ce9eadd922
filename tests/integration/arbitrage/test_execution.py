"""``Analyse`` in execution mode on the real database: each attempt against a search through all rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isnan, nan
from typing import Any

import pytest

from src.analysis.arbitrage.compute import compute
from src.analysis.arbitrage.execution import Attempt, Fill, Tokens, attempted
from src.analysis.arbitrage.terms import Strategy
from src.analysis.arbitrage.v3_math import PoolState
from src.model import Pool
from tests.integration.arbitrage.world import END_MS, POOL, SMALL, World, iso, stored_world
from tests.integration.timescale.helpers import fetch
from tests.naive_arbitrage import Priced, never_back

FINAL_MS = END_MS - 60_000
ASKED: dict[str, Any] = {
    "mode": "execution",
    "profit_threshold": -30.0,
    "initial_investment": 5_000.0,
    "time_delay_seconds": 2,
    "window_seconds": 5,
    "markout_seconds": 30,
}
STRATEGY = Strategy(**ASKED)


@pytest.fixture
async def world(database: str) -> World:
    return await stored_world(database)


async def _rows(world: World) -> list[tuple[Any, ...]]:
    return await fetch(
        world.url,
        "SELECT (extract(epoch FROM block_time) * 1000)::bigint, buy_platform, status, profit_usdt, buy_price,"
        " sell_price, details_json, risk_metrics_json FROM arbitrage_opportunities"
        " ORDER BY block_number, log_index, buy_platform",
    )


def _fill(world: World, pool: Pool, sent_ms: int) -> Fill | None:
    later = [header for header in world.headers if sent_ms < header.ms < FINAL_MS]
    if not later:
        return None
    last = [swap for swap in world.swaps[pool.address] if swap.block_number <= later[0].number][-1]
    state = PoolState(last.sqrt_price_x96, last.liquidity, last.tick, pool.fee, pool.tick_spacing)
    return Fill(later[0].number, later[0].ms, later[0].base_fee, state)


def _price(trades: Sequence[Priced], from_ms: int) -> float:
    window = [price for ts, price, _ in trades if from_ms <= ts < from_ms + STRATEGY.window_ms]
    return window[0] if window else nan


@pytest.mark.parametrize("pool", [POOL, SMALL], ids=["base is token1", "base is token0"])
async def test_each_attempt_is_what_a_search_finds(world: World, pool: Pool) -> None:
    report = world.run(compute, batch_id=None, overwrite=False, strategy={**ASKED, "pool": pool.address})
    trades = never_back([(trade.ts_ms, trade.price, trade.quantity) for trade in world.trades])
    tokens = Tokens(pool.base, pool.decimals0, pool.decimals1)
    rows = await _rows(world)
    for ts, bought_at, status, profit, buy_price, sell_price, details, risk in rows:
        fill = _fill(world, pool, ts + STRATEGY.delay_ms)
        mark = nan if fill is None else _price(trades, fill.block_ms + STRATEGY.markout_ms)
        direction = 0 if bought_at == "binance_spot" else 1
        cex_price = _price(trades, ts + STRATEGY.delay_ms)
        done = attempted(direction, details["gas_used"], fill, cex_price, mark, tokens, STRATEGY)
        assert status == done.status
        assert profit == (None if isnan(done.profit) else done.profit)
        assert details.get("fill_block") == (None if fill is None else fill.block_number)
        assert risk.get("cex_markout") == (None if isnan(done.cex_markout) else done.cex_markout)
        assert risk.get("dex_markout") == (None if isnan(done.dex_markout) else done.dex_markout)
        if status == "filled":
            assert (buy_price, sell_price) == _prices(done, direction)
            assert details["fill_blocks_later"] >= 1
    found = Counter(row[2] for row in rows)
    assert report["statuses"] == dict(found)
    assert set(found) >= {"filled", "beyond_range", "no_base_fee", "no_cex_trade"} and found["filled"] > 30
    assert report["profit_each_alone"] == pytest.approx(sum(row[3] for row in rows if row[2] == "filled"))
    assert report["about"].startswith("Attempts: decided by the screen")


async def test_a_block_without_a_swap_fills_too(world: World) -> None:
    world.run(compute, batch_id=None, overwrite=False, strategy={**ASKED, "pool": POOL.address})
    traded = {swap.block_number for swap in world.swaps[POOL.address]}
    filled = {row[6]["fill_block"] for row in await _rows(world) if row[2] == "filled"}
    assert filled - traded and filled & traded


async def test_a_block_may_be_the_first_only_if_the_one_before_is_known(world: World) -> None:
    strategy = {**ASKED, "pool": POOL.address, "time_delay_seconds": 30}
    world.run(compute, batch_id=None, overwrite=True, strategy=strategy)
    whole = await _rows(world)
    lost = next(row[6]["fill_block"] for row in whole if row[2] == "filled") - 1
    await fetch(world.url, "DELETE FROM block_headers WHERE block_number = %s RETURNING block_number", [lost])
    world.run(compute, batch_id=None, overwrite=True, strategy=strategy)
    changed = [(old, new) for old, new in zip(whole, await _rows(world), strict=True) if old != new]
    assert changed
    for old, new in changed:
        assert new[2] == "no_block" and old[6]["fill_block"] in (lost, lost + 1)


def _prices(done: Attempt, direction: int) -> tuple[float, float]:
    return (done.cex_price, done.dex_price) if direction == 0 else (done.dex_price, done.cex_price)


async def test_an_end_cuts_decisions_and_not_what_fills_them(world: World) -> None:
    strategy = {**ASKED, "pool": POOL.address}
    world.run(compute, batch_id=None, overwrite=True, strategy=strategy)
    whole = await _rows(world)
    end = whole[len(whole) // 2][0]
    world.run(compute, batch_id=None, overwrite=True, strategy={**strategy, "end": iso(end)})
    assert await _rows(world) == [row for row in whole if row[0] < end] != []


async def test_screen_and_attempts_of_one_batch_lie_side_by_side(world: World) -> None:
    for mode in ("screen", "execution", "screen"):
        strategy = {**ASKED, "mode": mode, "pool": POOL.address, "profit_threshold": 5.0}
        world.run(compute, batch_id=None, overwrite=False, strategy=strategy)
    counts = await fetch(
        world.url, "SELECT mode, count(*) FROM arbitrage_opportunities GROUP BY mode ORDER BY mode"
    )
    assert [mode for mode, _ in counts] == ["execution", "screen"]
    assert counts[0][1] > 0
