"""What status and doctor ask: true figures, bounded in time, with nothing there and with pending migrations."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from src.adapters.timescale.reports.inspection import inspect
from src.errors import Unavailable
from src.model import MINUTE_MS, Gap, floor_minute
from tests.support.processes import free_port

from .helpers import CANDLE, START_MS, opened, through

EXCHANGE = "binance_futures_um"


async def test_tells_the_newest_minute_and_the_stale_symbols(database: str) -> None:
    now = floor_minute(time.time() * 1000)
    rows = [replace(CANDLE, symbol="AUSDT", open_ms=now - n * MINUTE_MS) for n in range(180)]
    rows += [replace(CANDLE, symbol="币安人生USDT", open_ms=now - 10 * MINUTE_MS)]
    rows += [replace(CANDLE, symbol="GONEUSDT", open_ms=now - 3 * 1440 * MINUTE_MS)]
    async with opened(database) as store:
        await store.write(rows, [Gap("AUSDT", now, now + 7 * MINUTE_MS, "buffer_full")])
        found = await inspect(database, "market_data", EXCHANGE)
    assert {symbol: ts.timestamp() * 1000 for symbol, ts in found.newest.items()} == {
        "AUSDT": now,
        "币安人生USDT": now - 10 * MINUTE_MS,
    }
    assert list(found.stale()) == ["币安人生USDT"]
    assert sum(rows for _, rows in found.rows_per_hour) == 181
    assert found.lock_holder is not None
    assert found.lock_holder.pid == found.runs[0].pid
    assert found.runs[0].clean is None
    assert found.losses is not None
    assert found.losses.lost_minutes == 7
    assert {table.name: table.chunks >= 1 for table in found.tables}["candles_1m"]
    assert found.pending == []
    report = json.loads(json.dumps(found.as_dict(stale=1)))
    assert report["stale_symbols"] == 1
    assert report["newest_minute"].endswith("+00:00")


async def test_works_on_empty_tables(database: str) -> None:
    found = await inspect(database, "market_data", EXCHANGE)
    assert (found.newest, found.rows_per_hour, found.lock_holder, found.runs) == ({}, [], None, [])
    assert found.server.edition in {"Apache", "Community"}
    assert found.server.max_locks_per_transaction >= 64
    assert found.missing_rights == []


async def test_names_what_is_pending(empty_database: str) -> None:
    found = await inspect(empty_database, "market_data", EXCHANGE)
    assert found.pending[0] == "migrations/0001_candles.sql"
    assert found.tables == []


async def test_looks_back_a_day_and_no_further(database: str) -> None:
    async with opened(database) as store:
        await store.write([replace(CANDLE, open_ms=START_MS - 400 * 1440 * MINUTE_MS)], [])
    assert (await inspect(database, "market_data", EXCHANGE)).newest == {}


async def test_a_database_that_is_away_is_unavailable(database: str) -> None:
    with pytest.raises(Unavailable):
        await inspect(through(database, free_port()), "market_data", EXCHANGE)
