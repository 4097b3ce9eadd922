"""Each class of SQLSTATE, really provoked, comes out as what the caller must do about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.options import DatabaseOptions
from src.errors import MarketdError, Misconfigured, Retryable, Unavailable
from src.model import WriteResult
from src.telemetry.metrics import Metrics
from tests.integration.archive.files import importer, list_symbol, local_file
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.zips import csv_text

from .helpers import CANDLE, connect, fetch, opened, stored

_LIMIT_EXCEEDED: LiteralString = """
CREATE FUNCTION limit_exceeded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM nextval('market_data.refusals');
    RAISE EXCEPTION 'tuple decompression limit exceeded by operation' USING ERRCODE = 'configuration_limit_exceeded';
END $$
"""
"""The Community edition's words; the edition that can be had here has no compression."""


@pytest.fixture
async def store(database: str) -> AsyncIterator[CandleStore]:
    async with opened(database) as store:
        yield store


async def set_in_session(store: CandleStore, setting: LiteralString, value: LiteralString) -> None:
    assert store._session is not None
    await store._session.connection.execute("SELECT set_config(%s, %s, false)", [setting, value])


async def failure(store: CandleStore) -> MarketdError:
    with pytest.raises(MarketdError) as failed:
        await store.write([CANDLE], [])
    return failed.value


async def test_55P03_a_locked_table(database: str, store: CandleStore) -> None:
    await set_in_session(store, "lock_timeout", "50ms")
    async with await connect(database) as other, other.transaction():
        await other.execute("LOCK TABLE candles_1m IN ACCESS EXCLUSIVE MODE")
        error = await failure(store)
    assert isinstance(error, Retryable)
    assert error.reason == "lock_timeout"
    assert store.is_open, "the session stays"
    assert await store.write([CANDLE], []) == WriteResult(1, 0, 0)


async def test_57014_a_slow_statement(database: str, store: CandleStore) -> None:
    await set_in_session(store, "statement_timeout", "50ms")
    async with await connect(database) as other, other.transaction():
        await other.execute("LOCK TABLE candles_1m IN ACCESS EXCLUSIVE MODE")
        error = await failure(store)
    assert isinstance(error, Retryable)
    assert error.reason == "statement_timeout"
    assert store.is_open


async def test_40P01_a_deadlock(database: str, store: CandleStore) -> None:
    rows = [replace(CANDLE, symbol=symbol) for symbol in ("AUSDT", "ZUSDT")]
    await store.write(rows, [])
    better = [replace(row, trade_count=2000) for row in rows]
    async with await connect(database) as other, other.transaction():
        await other.execute("UPDATE candles_1m SET updated_at = now() WHERE symbol = 'ZUSDT'")
        writing = asyncio.create_task(store.write(better, []))
        waits: LiteralString = (
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND application_name LIKE 'marketd/ws/%%' AND datname = current_database()"
        )
        await eventually(lambda: fetch(database, waits))
        # Both now wait for each other; the one whose deadlock_timeout (1 s) ends first, ours, is the victim.
        await other.execute("UPDATE candles_1m SET updated_at = now() WHERE symbol = 'AUSDT'")
        with pytest.raises(Retryable) as failed:
            await writing
    assert failed.value.reason == "deadlock"
    assert store.is_open
    assert await store.write(better, []) == WriteResult(0, 2, 0)


async def test_57P01_a_terminated_backend(database: str, store: CandleStore) -> None:
    await fetch(
        database,
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
        " WHERE application_name LIKE 'marketd/ws/%%' AND datname = current_database()",
    )
    error = await failure(store)
    assert isinstance(error, Unavailable)
    assert not store.is_open


async def test_25006_a_server_turned_read_only_costs_the_session(database: str, store: CandleStore) -> None:
    await set_in_session(store, "default_transaction_read_only", "on")
    error = await failure(store)
    assert isinstance(error, Unavailable)
    assert error.reason == "read_only"
    assert not store.is_open, "only a new connection finds the new primary"


@pytest.mark.parametrize(
    ("damage", "sqlstate"),
    [
        ("DROP TABLE candles_1m", "42P01"),
        ("ALTER TABLE candles_1m RENAME COLUMN revision TO edition", "42703"),
        ("ALTER TABLE candles_1m DROP CONSTRAINT candles_1m_pkey", "42P10"),
        ("DROP SCHEMA market_data CASCADE", "42P01"),
        ("REVOKE INSERT ON candles_1m FROM CURRENT_USER", "42501"),
    ],
)
async def test_42_schema_drift_is_misconfigured_and_keeps_the_session(
    database: str, store: CandleStore, damage: LiteralString, sqlstate: str
) -> None:
    await fetch(database, damage)
    error = await failure(store)
    assert isinstance(error, Misconfigured)
    assert sqlstate in str(error)


async def test_53400_what_a_compressed_chunk_answers_is_not_tried_again(
    database: str, store: CandleStore, tmp_path: Path
) -> None:
    """D13: more rows to decompress than allowed. The same statement would never pass, in the import as little."""
    await list_symbol(database, "BTCUSDT")
    await fetch(database, "CREATE SEQUENCE refusals")
    await fetch(database, _LIMIT_EXCEEDED)
    await fetch(
        database, "CREATE TRIGGER refuse BEFORE INSERT ON candles_1m EXECUTE FUNCTION limit_exceeded()"
    )
    error = await failure(store)
    assert isinstance(error, Misconfigured)
    assert error.reason == "limit_exceeded"
    assert store.is_open
    local = local_file(tmp_path, csv_text(2))
    async with importer(database) as imports:
        with pytest.raises(Misconfigured, match="53400"):
            await imports.import_file(local.file, local.path, local.sha256)
    assert await fetch(database, "SELECT last_value FROM refusals") == [(2,)], "one of them asked again"
    await fetch(database, "DROP TRIGGER refuse ON candles_1m")
    assert await store.write([CANDLE], []) == WriteResult(1, 0, 0)


async def test_22007_inside_copy_stores_nothing(database: str, store: CandleStore) -> None:
    """E15: the server refuses the 600th row of a COPY; the 599 before it are gone too."""
    rows = [replace(CANDLE, symbol=f"S{n}USDT") for n in range(650)]
    rows[600] = replace(CANDLE, symbol="S\0USDT")
    with pytest.raises(MarketdError):
        await store.write(rows, [])
    assert await stored(database) == []
    assert (await store.write([row for row in rows if "\0" not in row.symbol], [])).inserted == 649


async def test_connecting(database: str, empty_database: str) -> None:
    """libpq tells no SQLSTATE when connecting fails, so all of these are tried again; the text says why."""
    parts = {name: str(value) for name, value in conninfo_to_dict(database).items()}
    for wrong in ({"password": "wrong"}, {"dbname": "marketd_test_not_there"}, {"user": "nobody_at_all"}):
        metrics = Metrics()
        url = make_conninfo("", **{**parts, **wrong})
        with pytest.raises(Retryable) as failed:
            await CandleStore(DatabaseOptions(url), metrics).open()
        assert parts["password"] not in str(failed.value)
        assert (
            metrics.registry.get_sample_value("marketd_database_errors_total", {"sqlstate_class": "none"})
            == 1
        )


async def test_53300_too_many_clients_is_tried_again(cluster: Cluster) -> None:
    await asyncio.to_thread(cluster.restart, {"max_connections": "12", "superuser_reserved_connections": "3"})
    url = cluster.url
    held: list[psycopg.AsyncConnection] = []
    try:
        with pytest.raises(psycopg.OperationalError):
            while True:
                held.append(await connect(url))
        with pytest.raises(Retryable):
            await CandleStore(DatabaseOptions(url)).open()
        await held.pop().close()
        await eventually(lambda: _opens(url))
    finally:
        for connection in held:
            await connection.close()


@pytest.mark.parametrize("how", ["restart", "immediate", "kill"])
async def test_the_server_restarts(cluster: Cluster, how: str) -> None:
    """E1, E3: the session is lost, nothing half-written is left, and open succeeds when the server is back."""
    url = cluster.url
    store = CandleStore(DatabaseOptions(url))
    await store.open()
    await store.write([CANDLE], [])
    if how == "kill":
        await asyncio.to_thread(cluster.kill)
        with pytest.raises(Unavailable):
            await store.write([CANDLE], [])
        with pytest.raises(Unavailable):
            await store.open()
        await asyncio.to_thread(cluster.start)
    else:
        await asyncio.to_thread(cluster.restart, immediate=how == "immediate")
        with pytest.raises(Unavailable):
            await store.write([CANDLE], [])
    await store.open()
    assert await store.write([CANDLE], []) == WriteResult(0, 0, 1)
    assert store.clean_start == -1
    await store.close()


async def _opens(url: str) -> bool:
    try:
        async with opened(url):
            return True
    except Retryable:
        return False
