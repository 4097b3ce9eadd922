"""``bars``: how fast trades become bars, in the kernels on one thread and from the database into the database.

The figure of each kernel is the best of several rounds, by the clock of the processor: it is what the loop costs, and
waiting for other programs is no part of that. ``wall_mticks_per_s`` is the same by the clock on the wall; compiling is
told apart. ``end_to_end_ticks_per_s`` is what ``marketd aggregate`` does with the trades of four days in a real
database: read, make and store tick bars. ``copy_out_ticks_per_s`` is a binary COPY of the same rows to this process,
which throws them away, in turns with the other.
"""

from __future__ import annotations

import os
import time
from statistics import median
from typing import LiteralString

import numpy as np
import psycopg

from benchmarks.database import private_database, settings_of
from src.adapters.timescale.copying.out import copied
from src.adapters.timescale.copying.tables import DatabaseTables
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.analysis.bars.advance import advance
from src.analysis.bars.dtypes import TRADE, Recipe, Records, new_state
from src.analysis.bars.trades import from_trades

TRADES = int(os.environ.get("MARKETD_BARS_TRADES", "5000000"))
ROUNDS = 7
_DAY_MS = 86_400_000
_PATH = "-c search_path=market_data,public -c TimeZone=UTC"
_START_S = 1_760_054_400
_COPY: LiteralString = (
    "COPY (SELECT ts, trade_id, price, quantity, is_buyer_maker FROM agg_trades) TO STDOUT (FORMAT BINARY)"
)
_TURNS = 3
_SIZES = {
    Recipe.TIME_OF_TRADES: 60_000.0,
    Recipe.TICK: 1_000.0,
    Recipe.VOLUME: 1_000.0,
    Recipe.DOLLAR: 100_000.0,
}


async def run() -> dict[str, object]:
    """{kernel_mticks_per_s, wall_mticks_per_s, bars: each by kind; end_to_end_..., copy_out_..., ratio ...}."""
    with private_database("bars") as url:
        await migrate(MigrationOptions(url))
        _fill(url)
        return {**_kernels(), **_end_to_end(url), **settings_of(url)}


def _kernels() -> dict[str, object]:
    trades = _made_up()
    started = time.perf_counter()
    advance(new_state(Recipe.TICK, 10), trades[:100])
    compile_s = time.perf_counter() - started
    kernel: dict[str, float] = {}
    wall: dict[str, float] = {}
    bars: dict[str, int] = {}
    for recipe, size in _SIZES.items():
        kernel[recipe.kind], wall[recipe.kind], bars[recipe.kind] = _rates(recipe, size, trades)
    return {
        "kernel_mticks_per_s": kernel,
        "wall_mticks_per_s": wall,
        "bars": bars,
        "compile_s": round(compile_s, 2),
        "trades": len(trades),
        "rounds": ROUNDS,
    }


def _end_to_end(url: str) -> dict[str, object]:
    whole, plain = [], []
    bars = 0
    for _ in range(_TURNS):
        plain.append(_copy_out(url))
        tables = DatabaseTables(DatabaseOptions(url))
        started = time.perf_counter()
        made = from_trades(
            tables=tables,
            note=lambda text, share=None: None,
            exchange="binance_futures_um",
            symbol="BTCUSDT",
            kind="tick",
            size=1000.0,
            since_ms=None,
            anew=True,
        )
        whole.append(time.perf_counter() - started)
        tables.close()
        bars = made["bars"]
    return {
        "end_to_end_ticks_per_s": round(TRADES / median(whole)),
        "copy_out_ticks_per_s": round(TRADES / median(plain)),
        "ratio": round(median(plain) / median(whole), 3),
        "bars_stored": bars,
    }


def _copy_out(url: str) -> float:
    """Seconds for the columns that bars are made of, in no order."""
    with psycopg.connect(url, options=_PATH, autocommit=True) as connection:
        started = time.perf_counter()
        for _ in copied(connection, _COPY, None):
            pass
        return time.perf_counter() - started


def _fill(url: str) -> None:
    """As many trades, spread evenly over four days, all closed."""
    with psycopg.connect(url, options=_PATH, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO agg_trades (exchange, symbol, trade_id, ts, price, quantity, is_buyer_maker)"
            " SELECT 'binance_futures_um', 'BTCUSDT', n,"
            " date_trunc('milliseconds', to_timestamp(%(start)s + n * 345600.0 / %(trades)s)),"
            " 2000 + round((20 * sin(n / 1e5) + random())::numeric, 2)::float8,"
            " 0.0001 + round(random()::numeric, 4)::float8, n %% 2 = 0 FROM generate_series(0, %(trades)s - 1) AS n",
            {"start": _START_S, "trades": TRADES},
        )
        connection.execute(
            "INSERT INTO trade_reach VALUES"
            " ('binance_futures_um', 'BTCUSDT', 0, %s, to_timestamp(%s), to_timestamp(%s))",
            [TRADES - 1, _START_S, _START_S + 345_600],
        )
        connection.execute("VACUUM (ANALYZE) agg_trades")


def _rates(recipe: Recipe, size: float, trades: Records) -> tuple[float, float, int]:
    """Million trades a second, by the processor's clock and by the wall's, and how many bars were made."""
    spent, passed, made = [], [], 0
    for _ in range(ROUNDS):
        state = new_state(recipe, size)
        processor, wall = time.process_time(), time.perf_counter()
        bars, _ = advance(state, trades)
        spent.append(time.process_time() - processor)
        passed.append(time.perf_counter() - wall)
        made = len(bars)
    return round(len(trades) / min(spent) / 1e6, 1), round(len(trades) / min(passed) / 1e6, 1), made


def _made_up() -> Records:
    """A day of trades around a price of 100, one coin each on average."""
    chance = np.random.default_rng(4)
    trades = np.empty(TRADES, TRADE)
    trades["ts"] = np.sort(chance.integers(0, _DAY_MS, TRADES))
    trades["trade_id"] = np.arange(TRADES)
    trades["price"] = np.round(100 + np.cumsum(chance.normal(0, 0.001, TRADES)), 4)
    trades["quantity"] = np.round(chance.exponential(1, TRADES), 3)
    trades["is_buyer_maker"] = chance.random(TRADES) < 0.5
    return trades
