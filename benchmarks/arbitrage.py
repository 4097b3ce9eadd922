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
from benchmarks.market_and_pool import DAYS, END_S, PATH, POOL, START_S, fill
from src.adapters.timescale.copying.out import copied
from src.adapters.timescale.copying.tables import DatabaseTables
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.queries import query
from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.analysis.arbitrage.compute import compute
from src.analysis.arbitrage.dtypes import PRICED, SWAP, Records
from src.analysis.arbitrage.screen import Tally, screened
from src.analysis.arbitrage.terms import Strategy

TRADES = int(os.environ.get("MARKETD_ARBITRAGE_TRADES", "10000000"))
SWAPS = int(os.environ.get("MARKETD_ARBITRAGE_SWAPS", "100000"))
ROUNDS = 5
_PIECE = 262_144
_STRATEGY = Strategy(pool=POOL, profit_threshold=5.0)


async def run() -> dict[str, object]:
    """{swaps, trades, kernel_seconds, growth, end_to_end_..., copy_out_..., end_to_end_ratio ...}; a few minutes."""
    with private_database("arbitrage") as url:
        await migrate(MigrationOptions(url))
        fill(url, trades=TRADES, swaps=SWAPS)
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
    trades["ts"] = np.sort(chance.integers(0, DAYS * 86_400_000, len(trades)))
    trades["price"] = np.round(2_000 + np.cumsum(chance.normal(0, 0.01, len(trades))), 2)
    trades["quantity"] = np.round(chance.exponential(1, len(trades)), 4)
    swaps = np.zeros(SWAPS * times, SWAP)
    swaps["ts"] = np.sort(chance.integers(0, DAYS * 7_200, len(swaps))) * 12_000
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
    span = {"since": datetime.fromtimestamp(START_S, UTC), "until": datetime.fromtimestamp(END_S, UTC)}
    with psycopg.connect(url, options=PATH, autocommit=True) as connection:
        started = time.perf_counter()
        for name, values in (
            ("trades", {"exchange": "binance_spot", "symbol": "ETHUSDT"}),
            ("swaps", {"chain": "ethereum", "pool": POOL}),
        ):
            for _ in copied(connection, query("arbitrage", name), {**values, **span}):
                pass
        return time.perf_counter() - started
