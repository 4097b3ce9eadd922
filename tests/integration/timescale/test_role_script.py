"""``sql/roles.sql`` and ``marketd migrate``: what each of the three roles is refused, and that no more was given."""

from __future__ import annotations

import asyncio
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.paths import sql_root
from tests.support.cluster import Cluster

from .helpers import CANDLE, connect, fetch, opened
from .test_roles import REFUSED

PASSWORD = "only for this test"
ROLES = ("marketd_owner", "marketd_writer", "marketd_reader")
REFUSED_TO_ALL: list[LiteralString] = [
    "COPY candles_1m TO PROGRAM 'cat'",
    "COPY candles_1m FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT rolpassword FROM pg_authid",
    "CREATE ROLE another",
    "CREATE DATABASE another",
    "ALTER SYSTEM SET synchronous_commit = off",
    "SET session_replication_role = replica",
]
REFUSED_TO_BOTH: list[LiteralString] = [
    *REFUSED,
    "CREATE SCHEMA mine",
    "CREATE TABLE public.mine (n int)",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE candles_1m OWNER TO marketd_reader",
    "SET ROLE marketd_owner",
    "SELECT lose_trades('a', 'b', now(), now(), '{}', '{}')",
]
REFUSED_TO_THE_READER: list[LiteralString] = [
    "CREATE TEMP TABLE mine (n int)",
    "INSERT INTO candles_1m SELECT * FROM candles_1m",
    "UPDATE candles_1m SET close = low",
    "INSERT INTO tasks (task_id) VALUES ('x')",
    "SELECT nextval('candle_revisions_id_seq')",
    "SELECT expire(now() - interval '1 year')",
    "SET ROLE marketd_writer",
]
DELETED_BY_THE_WRITER = {
    # a reorg takes back what was followed
    *("uniswap_swaps", "swap_ranges", "chain_blocks", "block_headers"),
    # made anew from what they were made of
    *("bars", "bar_state", "candle_changes", "price_levels", "price_series", "arbitrage_opportunities"),
    # long over, or the queue's own
    *("tasks", "procrastinate_jobs", "procrastinate_events", "procrastinate_workers"),
    "procrastinate_periodic_defers",
}
_GIVEN = """
SELECT relname::text, right_name FROM pg_class, unnest(%s::text[]) AS right_name
WHERE relnamespace = 'market_data'::regnamespace AND relkind IN ('r', 'v', 'p')
  AND has_table_privilege(%s, pg_class.oid, right_name)
"""
_AS_THE_OWNER = """
SELECT proname::text FROM pg_proc
WHERE pronamespace = 'market_data'::regnamespace AND prosecdef AND has_function_privilege(%s, oid, 'EXECUTE')
ORDER BY 1
"""
_CHUNKS = """
SELECT count(*)::int FROM pg_class
WHERE relnamespace = '_timescaledb_internal'::regnamespace AND relkind = 'r'
  AND has_table_privilege(%s, oid, 'DELETE, TRUNCATE, REFERENCES, TRIGGER')
"""


async def test_each_role_has_its_rights_and_no_more(cluster: Cluster) -> None:
    owner, writer, reader = await _made(cluster)
    async with opened(writer) as store:
        await store.write([CANDLE], [])
    for url in (owner, writer, reader):
        await _refused(url, REFUSED_TO_ALL)
    for url in (writer, reader):
        await _refused(url, REFUSED_TO_BOTH)
    await _refused(reader, REFUSED_TO_THE_READER)
    assert await fetch(reader, "SELECT count(*)::int FROM candles_1m") == [(1,)]

    everything = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
    to_the_reader = {right for _, right in await fetch(owner, _GIVEN, [everything, "marketd_reader"])}
    assert to_the_reader == {"SELECT"}
    assert {name for name, _ in await fetch(owner, _GIVEN, [["DELETE"], "marketd_writer"])} == (
        DELETED_BY_THE_WRITER
    )
    assert await fetch(owner, _GIVEN, [everything[4:], "marketd_writer"]) == []
    for role in ("marketd_writer", "marketd_reader"):
        assert await fetch(owner, _CHUNKS, [role]) == [(0,)]
    assert await fetch(owner, _AS_THE_OWNER, ["marketd_reader"]) == []
    may = [name for (name,) in await fetch(owner, _AS_THE_OWNER, ["marketd_writer"])]
    assert may == ["expire", "expire_trades", "fit_trades"]


async def test_the_readers_query_is_cut_at_ten_seconds(cluster: Cluster) -> None:
    _, _, reader = await _made(cluster)
    assert await fetch(reader, "SHOW default_transaction_read_only") == [("on",)]
    with pytest.raises(psycopg.errors.QueryCanceled):
        await fetch(reader, "SELECT pg_sleep(3600)")
    async with await connect(reader) as session:
        await session.execute("BEGIN")
        assert await _value(session, "SHOW idle_in_transaction_session_timeout") == "1min"


async def test_nobody_else_gets_in_or_hangs_our_functions_on_tables_of_their_own(cluster: Cluster) -> None:
    """A trigger's function works as the owner: on a temporary table it would empty a ledger for whoever made that."""
    _, writer, _ = await _made(cluster)
    async with await connect(writer) as session:
        await session.execute("CREATE TEMP TABLE mine (LIKE market_data.agg_trades)")
        for event, function in (
            ("TRUNCATE", "lose_all_trades()"),
            ("TRUNCATE", "mark_dataset_dirty('candles_1m')"),
            ("DELETE", "lose_deleted_trades()"),
            ("DELETE", "mark_days_dirty('candles_1m', 'ts', '0 minutes')"),
            ("UPDATE", "record_candle_revision()"),
        ):
            statement = sql.SQL("CREATE TRIGGER t AFTER {} ON mine FOR EACH STATEMENT EXECUTE FUNCTION {}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await session.execute(statement.format(_as_is(event), _as_is(function)))
    admin = await _admin(cluster)
    await _run(admin, "CREATE ROLE stranger LOGIN PASSWORD 'only for this test'")
    with pytest.raises(psycopg.OperationalError, match="CONNECT"):
        await connect(make_conninfo(admin, user="stranger", password=PASSWORD))


async def _made(cluster: Cluster) -> tuple[str, str, str]:
    """The URLs of the three roles on a new database, made and migrated as the README says."""
    server = await asyncio.to_thread(lambda: cluster.admin_url)
    await _run(server, "CREATE DATABASE bare")
    admin = await _admin(cluster)
    script = (sql_root() / "roles.sql").read_text(encoding="utf-8")
    for _ in range(2):
        await _run(admin, script)
    async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as connection:
        for role in ROLES:
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            await connection.execute(statement.format(sql.Identifier(role), sql.Literal(PASSWORD)))
    owner, writer, reader = [make_conninfo(admin, user=role, password=PASSWORD) for role in ROLES]
    options = MigrationOptions(owner, writer_role="marketd_writer", reader_role="marketd_reader")
    for _ in range(2):
        await migrate(options)
    return owner, writer, reader


async def _admin(cluster: Cluster) -> str:
    return make_conninfo(await asyncio.to_thread(lambda: cluster.admin_url), dbname="bare")


async def _run(url: str, script: Any) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(script)


async def _refused(url: str, statements: list[LiteralString]) -> None:
    async with await connect(url) as session:
        # It is the rights that hold a role back: what a session may set, it may set anew.
        await session.execute("SET default_transaction_read_only = off")
        for statement in statements:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await session.execute(statement)


async def _value(session: psycopg.AsyncConnection, statement: LiteralString) -> Any:
    row = await (await session.execute(statement)).fetchone()
    assert row is not None
    return row[0]


def _as_is(text: LiteralString) -> sql.SQL:
    return sql.SQL(text)
