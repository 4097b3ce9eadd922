"""``Analyse`` on the real database: what it writes is what the naive twin finds on the same rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from math import isclose
from typing import Any

import pytest

from src.adapters.timescale.copying.tables import DatabaseTables
from src.adapters.timescale.options import DatabaseOptions
from src.analysis.arbitrage import compute as arbitrage_compute
from src.analysis.arbitrage.compute import AUTO_BATCH, compute
from src.analysis.arbitrage.terms import Strategy
from src.errors import BadData
from src.model import Pool
from tests import naive_arbitrage as naive
from tests.integration.arbitrage.world import END_MS, POOL, SMALL, START_MS, SYMBOL, World, iso, stored_world
from tests.integration.timescale.helpers import fetch

FINAL_MS = END_MS - 60_000


@pytest.fixture
async def world(database: str) -> World:
    return await stored_world(database)


def _analyse(world: World, pool: Pool = POOL, **options: Any) -> dict[str, Any]:
    batch, overwrite = options.pop("batch_id", None), options.pop("overwrite", False)
    return world.run(compute, batch_id=batch, overwrite=overwrite, strategy={"pool": pool.address, **options})


async def _rows(world: World) -> list[tuple[Any, ...]]:
    return await fetch(
        world.url,
        "SELECT opportunity_id, batch_id, (extract(epoch FROM block_time) * 1000)::bigint, block_number, log_index,"
        " buy_platform, sell_platform, buy_price, sell_price, profit_usdt, status, details_json, risk_metrics_json,"
        " transaction_hash, mode"
        " FROM arbitrage_opportunities ORDER BY batch_id, block_number, log_index, buy_platform",
    )


def _twin(
    world: World, pool: Pool, strategy: Strategy, until_ms: int = FINAL_MS
) -> tuple[list[naive.Opportunity], dict[str, int]]:
    first = world.trades[0].ts_ms + strategy.delay_ms + strategy.window_ms
    swaps = [
        (
            swap.block_ms,
            swap.block_number,
            swap.log_index,
            swap.price,
            float(swap.gas_price),
            float(swap.gas_used),
            swap.liquidity > 0,
        )
        for swap in world.swaps[pool.address]
        if first <= swap.block_ms < until_ms
    ]
    trades = [(trade.ts_ms, trade.price, trade.quantity) for trade in world.trades]
    found, outcomes = naive.opportunities(trades, swaps, strategy)
    return found, dict(outcomes)


@pytest.mark.parametrize("pool", [POOL, SMALL], ids=["base is token1", "base is token0"])
async def test_the_table_holds_what_the_twin_finds(world: World, pool: Pool) -> None:
    strategy = Strategy(profit_threshold=-25.0, window_seconds=7)
    report = _analyse(world, pool, **strategy.model_dump(include={"profit_threshold", "window_seconds"}))
    expected, outcomes = _twin(world, pool, strategy)
    rows = await _rows(world)
    assert len(rows) == len(expected) > 100
    for row, twin in zip(rows, expected, strict=True):
        cex, dex = ("binance_spot", "ethereum")
        assert row[2:5] == twin[:3]
        assert row[5:7] == ((cex, dex) if twin[3] == 0 else (dex, cex))
        assert row[7:9] == (twin[4:6] if twin[3] == 0 else twin[5:3:-1])
        assert (row[9], row[10], row[14]) == (twin[7], "screened", "screen")
        assert (row[11]["base_amount"], row[11]["gas_used"], row[11]["gas_cost"]) == (
            twin[6],
            twin[8],
            twin[9],
        )
        assert isclose(row[12]["volatility"], twin[10], rel_tol=1e-12)
        assert (row[12]["window_volume"], row[12]["window_trades"]) == twin[11:]
        assert row[13] == f"0x{twin[1] * 100 + twin[2]:064x}"
    assert {name: count for name, count in report["swaps"].items() if count} == outcomes
    assert outcomes["no_liquidity"] > 0
    assert report["opportunities"] == report["written"] == len(expected)
    assert report["about"].startswith("A screen: it says where the two prices were apart")
    assert report["to"] == iso(FINAL_MS)


async def test_a_run_twice_leaves_what_one_leaves(world: World) -> None:
    first = _analyse(world, profit_threshold=-25.0)
    before = await _rows(world)
    again = _analyse(world, profit_threshold=-25.0)
    assert await _rows(world) == before
    assert (first["written"], again["written"], again["opportunities"]) == (len(before), 0, len(before))


async def test_overwrite_replaces_this_batch_and_no_other(world: World) -> None:
    await fetch(world.url, "INSERT INTO batches (name) VALUES ('mine'), ('other')")
    batches = await fetch(world.url, "SELECT batch_id FROM batches ORDER BY name")
    mine, other = (batch for (batch,) in batches)
    _analyse(world, batch_id=mine, profit_threshold=-25.0)
    _analyse(world, batch_id=other, profit_threshold=-25.0)
    kept = [row for row in await _rows(world) if row[1] == other]
    report = _analyse(world, batch_id=mine, profit_threshold=1.0, overwrite=True)
    rows = await _rows(world)
    assert [row for row in rows if row[1] == other] == kept
    assert 0 < len(rows) - len(kept) == report["written"] < report["deleted"] == len(kept)
    assert all(row[9] > 1.0 for row in rows if row[1] == mine)


async def test_what_fails_leaves_the_batch_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _analyse(world, profit_threshold=-25.0)
    before = await _rows(world)
    monkeypatch.setattr(arbitrage_compute, "_AT_ONCE", 10)

    class Failing(DatabaseTables):
        left = 2

        def write(self, *given: Any, **values: Any) -> Any:
            if not self.left:
                raise RuntimeError("the machine stops here")
            self.left -= 1
            return super().write(*given, **values)

    failing = Failing(DatabaseOptions(world.url))
    strategy = {"pool": POOL.address, "profit_threshold": -20.0}
    with pytest.raises(RuntimeError, match="stops here"):
        compute(
            tables=failing,
            note=lambda text, share=None: None,
            batch_id=None,
            overwrite=True,
            strategy=strategy,
        )
    failing.close()
    assert await _rows(world) == before


async def test_no_batch_is_auto_batch_1(world: World) -> None:
    reports = [_analyse(world, profit_threshold=5.0) for _ in range(2)]
    assert {report["batch"] for report in reports} == {AUTO_BATCH} == {"Auto Batch 1"}
    stored = await fetch(world.url, "SELECT batch_id, name, report->>'batch' FROM batches")
    assert stored == [(reports[0]["batch_id"], AUTO_BATCH, AUTO_BATCH)]


async def test_only_what_is_final_and_closed_is_read(world: World) -> None:
    """An open gap of trades: what lies behind it is not known yet, and not analysed."""
    gap = world.trades[len(world.trades) // 2]
    await fetch(
        world.url,
        "INSERT INTO trade_gaps (exchange, symbol, first_id, last_id, after_ts, before_ts)"
        " VALUES ('binance_spot', %s, %s, %s, %s, %s)",
        [SYMBOL, gap.trade_id, gap.trade_id, *[datetime.fromtimestamp(gap.ts_ms / 1000, UTC)] * 2],
    )
    report = _analyse(world, profit_threshold=-25.0)
    rows = await _rows(world)
    assert report["to"] == iso(gap.ts_ms + 3_000)
    assert 0 < max(row[2] for row in rows) < gap.ts_ms + 3_000


async def test_a_start_before_what_is_stored_begins_there(world: World) -> None:
    report = _analyse(world, profit_threshold=5.0, start="2020-01-01")
    whole = _analyse(world, profit_threshold=5.0, overwrite=True)
    assert (report["from"], report["written"]) == (whole["from"], whole["written"])


async def test_start_and_end_bound_the_swaps(world: World) -> None:
    start, end = START_MS + 300_000, START_MS + 600_000
    report = _analyse(world, profit_threshold=-25.0, start=iso(start), end=iso(end))
    rows = await _rows(world)
    assert (report["from"], report["to"]) == (iso(start), iso(end))
    whole, _ = _twin(world, POOL, Strategy(profit_threshold=-25.0))
    assert [row[2:5] for row in rows] == [one[:3] for one in whole if start <= one[0] < end]


async def test_what_is_not_stored_is_named(world: World) -> None:
    named: list[tuple[dict[str, Any], str]] = [
        ({"pool": None}, f"pool: name one of ethereum/{POOL.address} .USDC/WETH., ethereum/{SMALL.address}"),
        ({"symbol": "BTCUSDT"}, "symbol of binance_spot BTCUSDT: none is stored"),
        ({"exchange": "binance_futures_um"}, "symbol of binance_futures_um: none is stored"),
        ({"start": "2026-01-01"}, "no swaps of pool 0xa{40} are stored from 2026-01-01 00:00:00 on"),
        ({"end": iso(START_MS)}, "nothing to analyse: swaps are final from"),
    ]
    for asked, text in named:
        with pytest.raises(BadData, match=text):
            world.run(compute, batch_id=None, overwrite=False, strategy={"pool": POOL.address, **asked})


async def test_a_pool_that_prices_another_coin_than_pays_gas_is_refused(world: World) -> None:
    await fetch(world.url, "UPDATE pools SET symbol1 = 'WBTC' WHERE pool = %s RETURNING 1", [POOL.address])
    with pytest.raises(BadData, match="it prices WBTC, and gas is paid in ETH on ethereum"):
        _analyse(world)
    assert await _rows(world) == []


async def test_a_pool_without_swaps_has_a_report_and_no_rows(world: World) -> None:
    empty = replace(SMALL, address="0x" + "e" * 40)
    for statement in (
        "INSERT INTO pools SELECT chain, %s, token0, token1, symbol0, symbol1, decimals0, decimals1, fee,"
        " tick_spacing, base FROM pools WHERE pool = %s",
        "INSERT INTO swap_ranges SELECT chain, %s, from_block, to_block, from_time, to_time, final_block, final_time"
        " FROM swap_ranges WHERE pool = %s",
    ):
        await fetch(world.url, statement, [empty.address, SMALL.address])
    for mode in ("screen", "execution"):
        report = _analyse(world, empty, mode=mode, overwrite=True)
        assert (report["opportunities"], report["written"], report["trades_read"]) == (0, 0, 0)
        assert set(report["swaps"].values()) == {0}
    assert await _rows(world) == []


async def test_what_is_refused_writes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arbitrage_compute, "MOST_ROWS", 50)
    with pytest.raises(BadData, match="raise profit_threshold"):
        _analyse(world, profit_threshold=-1e6)
    with pytest.raises(BadData, match="there is no batch 77; leave it out to use Auto Batch 1"):
        _analyse(world, batch_id=77, profit_threshold=100.0)
    assert await _rows(world) == []
