"""``arbitrage``: the screen over ten million trades and a hundred thousand swaps of two weeks.

``kernel_seconds`` is the one pass over both in memory, compiled before; ``growth`` is what it takes when both are
twice as many in the same two weeks, in turns with the first. ``end_to_end_trades_per_s`` is the whole of ``Analyse``
(read, screen, write opportunities in one transaction) on a real database, ``copy_out_trades_per_s`` a binary
COPY of the same trades and swaps to this process, which throws them away, in the same run.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from statistics import median

import numpy as np
import psycopg

from benchmarks.database import private_database, settings_of
from src.adapters.timescale.copy_out import copied
from src.adapters.timescale.migrations import MigrationOptions, migrate
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.queries import query
from src.adapters.timescale.tables import DatabaseTables
from src.analysis.arbitrage import Tally, screened
from src.analysis.arbitrage_compute import compute
from src.analysis.arbitrage_terms import Strategy
from src.analysis.arbitrage_types import PRICED, SWAP, Records

TRADES = int(os.environ.get("MARKETD_ARBITRAGE_TRADES", "10000000"))
SWAPS = int(os.environ.get("MARKETD_ARBITRAGE_SWAPS", "100000"))
ROUNDS = 5
_DAYS = 14
_START_S = 1_760_054_400
_END_S = _START_S + _DAYS * 86_400
_PIECE = 262_144
_POOL = "0x" + "a" * 40
_STRATEGY = Strategy(pool=_POOL, profit_threshold=5.0)
_PATH = "-c search_path=market_data,public -c TimeZone=UTC"


async def run() -> dict[str, object]:
    """{swaps, trades, kernel_seconds, growth, end_to_end_..., copy_out_..., end_to_end_ratio ...}; a few minutes."""
    with private_database("arbitrage") as url:
        await migrate(MigrationOptions(url))
        _fill(url)
        return {
            "trades": TRADES,
            "swaps": SWAPS,
            "rounds": ROUNDS,
            **_kernel(),
            **_end_to_end(url),
            **settings_of(url),
        }


def _kernel() -> dict[str, float]:
    once, twice = _made_up(1), _made_up(2)
    _pass(once[0][:1_000], once[1][:10])  # compiles
    single, double = [], []
    for _ in range(ROUNDS):
        single.append(_pass(*once))
        double.append(_pass(*twice))
    return {
        "kernel_seconds": round(median(single), 3),
        "growth": round(median(double) / median(single), 3),
    }


def _pass(trades: Records, swaps: Records) -> float:
    pieces = (trades[at : at + _PIECE] for at in range(0, len(trades), _PIECE))
    started = time.perf_counter()
    for _ in screened(pieces, [swaps], _STRATEGY, Tally()):
        pass
    return time.perf_counter() - started


def _made_up(times: int) -> tuple[Records, Records]:
    chance = np.random.default_rng(4)
    trades = np.empty(TRADES * times, PRICED)
    trades["ts"] = np.sort(chance.integers(0, _DAYS * 86_400_000, len(trades)))
    trades["price"] = np.round(2_000 + np.cumsum(chance.normal(0, 0.01, len(trades))), 2)
    trades["quantity"] = np.round(chance.exponential(1, len(trades)), 4)
    swaps = np.zeros(SWAPS * times, SWAP)
    swaps["ts"] = np.sort(chance.integers(0, _DAYS * 7_200, len(swaps))) * 12_000
    swaps["block_number"], swaps["log_index"] = swaps["ts"] // 12_000, np.arange(len(swaps))
    swaps["price"] = 2_000 * np.exp(chance.normal(0, 0.002, len(swaps)))
    swaps["gas_price"], swaps["gas_used"], swaps["liquid"] = 1e10, 1.5e5, True
    return trades, swaps


def _end_to_end(url: str) -> dict[str, float]:
    whole, copied = [], []
    written = 0
    for _ in range(3):
        copied.append(_copy_out(url))
        tables = DatabaseTables(DatabaseOptions(url))
        started = time.perf_counter()
        report = compute(
            tables=tables,
            note=lambda text, share=None: None,
            batch_id=None,
            overwrite=True,
            strategy=_STRATEGY.model_dump(mode="json"),
        )
        whole.append(time.perf_counter() - started)
        tables.close()
        written = report["written"]
    return {
        "end_to_end_trades_per_s": round(TRADES / median(whole)),
        "copy_out_trades_per_s": round(TRADES / median(copied)),
        "end_to_end_ratio": round(median(copied) / median(whole), 3),
        "opportunities": written,
    }


def _copy_out(url: str) -> float:
    """Seconds for the very queries that the analysis reads by, over the whole range."""
    span = {"since": datetime.fromtimestamp(_START_S, UTC), "until": datetime.fromtimestamp(_END_S, UTC)}
    with psycopg.connect(url, options=_PATH, autocommit=True) as connection:
        started = time.perf_counter()
        for name, values in (
            ("trades", {"exchange": "binance_spot", "symbol": "ETHUSDT"}),
            ("swaps", {"chain": "ethereum", "pool": _POOL}),
        ):
            for _ in copied(connection, query("arbitrage", name), {**values, **span}):
                pass
        return time.perf_counter() - started


def _fill(url: str) -> None:
    """Trades and swaps spread evenly over the days, closed and final; every fourth swap is worth a row."""
    with psycopg.connect(url, options=_PATH, autocommit=True) as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute(
            "INSERT INTO agg_trades (exchange, symbol, trade_id, ts, price, quantity, is_buyer_maker)"
            " SELECT 'binance_spot', 'ETHUSDT', n,"
            " date_trunc('milliseconds', to_timestamp(%(start)s + n * %(days)s * 86400.0 / %(trades)s)),"
            " 2000 + round((20 * sin(n / 1e5) + random())::numeric, 2)::float8,"
            " 0.0001 + round(random()::numeric, 4)::float8, n %% 2 = 0 FROM generate_series(0, %(trades)s - 1) AS n",
            {"start": _START_S, "days": _DAYS, "trades": TRADES},
        )
        connection.execute(
            "INSERT INTO trade_reach VALUES ('binance_spot', 'ETHUSDT', 0, %s, to_timestamp(%s), to_timestamp(%s))",
            [TRADES - 1, _START_S, _END_S],
        )
        connection.execute(
            "INSERT INTO pools VALUES ('ethereum', %s, '0x' || repeat('1', 40), '0x' || repeat('2', 40),"
            " 'WETH', 'USDT', 18, 6, 500, 10, 0)",
            [_POOL],
        )
        connection.execute(
            "INSERT INTO uniswap_swaps (chain, pool, block_time, block_number, price, gas_used, log_index,"
            " transaction_index, tick, amount0, amount1, sqrt_price_x96, liquidity, gas_price, base_fee, block_hash,"
            " transaction_hash, sender, recipient)"
            " SELECT 'ethereum', %(pool)s, to_timestamp(%(start)s + block * 12), block,"
            " (2000.5 + 20 * sin(n * %(trades)s / %(swaps)s / 1e5)) * (0.997 + 0.006 * random()), 150000,"
            " n, 0, -200000, 1e18, -2e9, 3543191142285914205922034, 1e19, 1e10, 1e10,"
            " '0x' || lpad(to_hex(block), 64, '0'), '0x' || lpad(to_hex(n), 64, '0'), 's', 'r'"
            " FROM (SELECT n, floor(n * %(days)s * 7200.0 / %(swaps)s)::bigint AS block"
            " FROM generate_series(0, %(swaps)s - 1) AS n) AS made",
            {"pool": _POOL, "start": _START_S, "days": _DAYS, "swaps": SWAPS, "trades": float(TRADES)},
        )
        connection.execute(
            "INSERT INTO swap_ranges VALUES"
            " ('ethereum', %s, 0, %s, to_timestamp(%s), to_timestamp(%s), %s, to_timestamp(%s))",
            [_POOL, _DAYS * 7_200, _START_S, _END_S, _DAYS * 7_200, _END_S],
        )
        connection.execute("VACUUM (ANALYZE) agg_trades")
        connection.execute("VACUUM (ANALYZE) uniswap_swaps")
