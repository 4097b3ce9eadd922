"""``Analyse`` in execution mode on the real database: each attempt against a search through all rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isnan, nan
from typing import Any

import pytest

from src.analysis.arbitrage_compute import compute
from src.analysis.arbitrage_execution import Attempt, Fill, Tokens, attempted
from src.analysis.arbitrage_terms import Strategy
from src.analysis.v3_math import PoolState
from src.model import Pool, Swap
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


def _fill(pool: Pool, swaps: Sequence[Swap], sent_ms: int) -> Fill | None:
    later = [swap for swap in swaps if sent_ms < swap.block_ms < FINAL_MS]
    if not later:
        return None
    number = min(swap.block_number for swap in later)
    last = max((swap for swap in later if swap.block_number == number), key=lambda swap: swap.log_index)
    state = PoolState(last.sqrt_price_x96, last.liquidity, last.tick, pool.fee, pool.tick_spacing)
    return Fill(number, last.block_ms, last.base_fee, state)


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
        fill = _fill(pool, world.swaps[pool.address], ts + STRATEGY.delay_ms)
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
