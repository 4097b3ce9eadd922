"""The writer's role can do its work and nothing else; the migration run gives it its rights."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.reports.inspection import inspect
from src.adapters.timescale.schema.grants import separate_role
from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.swap_store import SwapStore
from src.adapters.timescale.trades.store import TradeStore
from src.errors import ConfigError
from src.model import MINUTE_MS, Authority, Gap, Trade, WriteResult
from tests.support.cluster import Cluster
from tests.support.uniswap import WETH_ENS

from .helpers import CANDLE, START_MS, fetch, listed, opened
from .test_swap_store import block, covered, swap

ROLE = 'marketd "writer"'
PASSWORD = "only for this test"


async def role_url(cluster: Cluster, name: str) -> tuple[str, str]:
    """The owner's URL, and that of a new role of the same database."""
    admin = await asyncio.to_thread(lambda: cluster.admin_url)
    owner = await asyncio.to_thread(lambda: cluster.url)
    async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as connection:
        await connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(PASSWORD))
        )
    return owner, psycopg.conninfo.make_conninfo(owner, user=name, password=PASSWORD)


@pytest.fixture
async def writer_url(cluster: Cluster) -> str:
    """A migrated database, as seen by a role of its own for the daemon."""
    owner, url = await role_url(cluster, ROLE)
    role = separate_role(url, owner)
    assert role == ROLE
    for _ in range(2):  # repeating it is harmless
        assert await migrate(MigrationOptions(owner, writer_role=role)) == []
    return url


async def test_the_writer_accounts_for_trades_of_two_listings(cluster: Cluster, writer_url: str) -> None:
    """Also when the second becomes known after its trades, which moves lines that the role may not delete."""
    owner = await asyncio.to_thread(lambda: cluster.url)
    day = 86_400_000
    rows = [Trade("X", number, START_MS + at, 1.0, 1.0, True) for at in (0, day) for number in (1, 2, 5)]
    store = TradeStore(SharedSession(DatabaseOptions(writer_url), purpose="trades"))
    await listed(owner, "X", START_MS - day)
    await store.write([*rows[3:], *rows[:3]])
    await listed(owner, "X", START_MS + day // 2)
    assert (await store.write(rows)).inserted == 3
    await store.settle(["X"], 0)
    reach = await store.reach()
    await store.close()
    assert [(one.first_id, one.last_id) for one in reach.values()] == [(1, 5), (1, 5)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await fetch(writer_url, "DELETE FROM agg_trades")


async def test_the_reader_looks_and_no_more(cluster: Cluster) -> None:
    owner, url = await role_url(cluster, "looker")
    await migrate(MigrationOptions(owner, reader_role=separate_role(url, owner)))
    async with opened(owner) as store:
        await store.write([CANDLE], [])
    found = await inspect(url, "market_data", "binance_futures_um")
    assert "candles_1m INSERT" in found.missing_rights
    assert "candles_1m SELECT" not in found.missing_rights
    assert await fetch(url, "SELECT symbol FROM candles_1m") == [("BTCUSDT",)]
    for statement in (
        *REFUSED,
        "UPDATE candles_1m SET close = low",
        "INSERT INTO candles_1m SELECT * FROM candles_1m",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await fetch(url, statement)


REFUSED: list[LiteralString] = [
    "DELETE FROM candles_1m",
    "TRUNCATE candles_1m",
    "DROP TABLE candles_1m",
    "ALTER TABLE candles_1m ADD COLUMN x int",
    "DROP TRIGGER candles_1m_keep_old_row ON candles_1m",
    "ALTER TABLE candles_1m DISABLE TRIGGER ALL",
    "SET session_replication_role = replica",
    "INSERT INTO candle_revisions OVERRIDING SYSTEM VALUE SELECT * FROM candle_revisions",
    "UPDATE candle_revisions SET close = 1",
    "DELETE FROM candle_revisions",
    "DELETE FROM gap_events",
    "UPDATE gap_events SET reason = 'x'",
    "TRUNCATE gap_events",
    "DELETE FROM rejected_rows",
    "UPDATE rejected_rows SET raw_row = 'x'",
    "DELETE FROM daemon_runs",
    "UPDATE daemon_runs SET started_at = now()",
    "DELETE FROM coverage_days",
    "TRUNCATE coverage_days",
    "DELETE FROM absent_minutes",
    "DELETE FROM instruments",
    "DROP TRIGGER candles_1m_mark_days_dirty ON candles_1m",
    "DELETE FROM schema_migration",
    "INSERT INTO schema_migration (name, sha256) VALUES ('x', 'y')",
    "CREATE TABLE mine (n int)",
    "SELECT drop_chunks('candles_1m', older_than => now())",
    "COPY candles_1m TO PROGRAM 'cat'",
    "SELECT pg_read_file('/etc/passwd')",
]


async def test_the_writer_works_and_is_refused_the_rest(writer_url: str) -> None:
    better = replace(CANDLE, trade_count=2000, authority=Authority.REST, source="binance_rest")
    async with opened(writer_url) as store:
        assert await store.write([CANDLE], [Gap("A", START_MS, START_MS + MINUTE_MS, "x")]) == WriteResult(
            1, 0, 0
        )
        assert await store.write([better], []) == WriteResult(0, 1, 0)
        await store.quarantine(CANDLE, reason="x", detail="y")
        await store.quarantine(CANDLE, reason="x", detail="y")
        await store.finish_run()
    assert await fetch(writer_url, "SELECT count(*) FROM candle_revisions") == [(1,)]
    assert (await inspect(writer_url, "market_data", "binance_futures_um")).missing_rights == []
    for statement in REFUSED:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await fetch(writer_url, statement)
    chunk = (await fetch(writer_url, "SELECT show_chunks('candles_1m')::text"))[0][0]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await fetch(writer_url, f"DELETE FROM {chunk}")
    assert await fetch(writer_url, "SELECT count(*) FROM candles_1m") == [(1,)]


async def test_a_temporary_table_cannot_stand_in_for_the_revisions(writer_url: str) -> None:
    better = replace(CANDLE, trade_count=2000)
    async with opened(writer_url) as store:
        await store.write([CANDLE], [])
        assert store._session is not None
        connection = store._session.connection
        await connection.execute("CREATE TEMP TABLE candle_revisions (LIKE market_data.candle_revisions)")
        await connection.execute("SET search_path = pg_temp, market_data, public")
        await store.write([better], [])
    assert await fetch(writer_url, "SELECT count(*) FROM candle_revisions") == [(1,)]


async def test_the_role_that_cannot_create_the_extension_is_told_what_to_do(cluster: Cluster) -> None:
    admin = await asyncio.to_thread(lambda: cluster.admin_url)
    owner = await asyncio.to_thread(lambda: cluster.url)
    async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as connection:
        await connection.execute("CREATE DATABASE bare")
    with pytest.raises(ConfigError, match="CREATE EXTENSION timescaledb"):
        await migrate(MigrationOptions(psycopg.conninfo.make_conninfo(owner, dbname="bare")))


def test_one_role_for_all_needs_no_grants() -> None:
    url = "postgresql://me:secret@db/one"
    assert separate_role(url, url) == ""
    assert separate_role(None, url) == ""
    assert separate_role("postgresql://writer@db/one", url) == "writer"
    with pytest.raises(ConfigError, match=r"^DATABASE_URL: is not a PostgreSQL connection string$"):
        separate_role("postgresql://me:p%zz@db/one", url)


async def test_the_writer_stores_swaps_and_takes_them_back(writer_url: str) -> None:
    store = SwapStore(SharedSession(DatabaseOptions(writer_url), purpose="swaps"))
    try:
        assert await store.add_pool(WETH_ENS) == WETH_ENS
        chain = [block(number) for number in range(10, 14)]
        await store.fill(WETH_ENS, [swap(block(9))], covered(1, 9, 9))
        await store.follow([WETH_ENS], block(9), chain, [swap(one) for one in chain], final=block(10))
        written = await store.follow([WETH_ENS], block(11), [], [], final=None)
        assert (written.inserted, written.withdrawn) == (0, 2)
        assert await store.ranges(WETH_ENS) == [covered(1, 11, 10)]
    finally:
        await store.close()
