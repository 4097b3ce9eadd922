"""E20: what waits for a session is bounded, a lost session harms nobody, and a pool comes back with its server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, LiteralString

import pytest
from psycopg_pool import AsyncConnectionPool, TooManyRequests

from src.adapters.timescale.errors import translate
from src.adapters.timescale.options import DatabaseOptions, ServerUrl
from src.adapters.timescale.sessions.pool import make_pool
from src.adapters.timescale.sessions.reader import ReadPool
from src.errors import Unavailable
from src.telemetry.metrics import Metrics
from tests.support.chaosproxy import ChaosProxy
from tests.support.eventually import eventually

from .helpers import fetch, server_address, through

_SIZE = 2
_FOREVER_S = 600.0
_END_ALL: LiteralString = (
    "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
    " WHERE application_name LIKE 'marketd/%%' AND datname = current_database()"
)


@pytest.fixture
async def reader(database: str) -> AsyncIterator[ReadPool]:
    reader = ReadPool(DatabaseOptions(database), Metrics())
    await reader.open()
    yield reader
    await reader.close()


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncConnectionPool]:
    pool = make_pool(DatabaseOptions(database), purpose="jobs", size=_SIZE)
    await pool.open()
    yield pool
    await pool.close()


@pytest.mark.parametrize(("which", "most"), [("reading", 64), ("working", 256)])
async def test_who_waits_is_bounded(
    reader: ReadPool, pool: AsyncConnectionPool, which: str, most: int
) -> None:
    """Every session is taken: so many calls wait, one more is refused at once, and nobody who waited is lost."""
    full = reader._pool if which == "reading" else pool
    full.timeout = _FOREVER_S
    let_go = asyncio.Event()
    begun: list[object] = []

    async def work() -> None:
        async with full.connection() as connection:
            begun.append(connection)
            await let_go.wait()
            await connection.execute("SELECT 1")

    async with asyncio.TaskGroup() as group:
        try:
            calls = [group.create_task(work(), name="call") for _ in range(full.max_size)]
            await eventually(lambda: len(begun) == full.max_size)
            calls += [group.create_task(work(), name="waiting call") for _ in range(most)]
            await eventually(lambda: _stats(full).get("requests_waiting") == most)
            with pytest.raises(TooManyRequests) as refused:
                await full.getconn()
            assert isinstance(translate(refused.value), Unavailable)
            assert not any(call.done() for call in calls)
        finally:
            let_go.set()


async def test_sessions_that_were_lost_while_nobody_used_them_are_replaced(
    database: str, reader: ReadPool, pool: AsyncConnectionPool
) -> None:
    for _ in range(3):
        assert await reader.rows("session.alive") == [(1,)]
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")
        assert len(await fetch(database, _END_ALL)) >= 2, "nobody had a session"


@pytest.mark.parametrize("fault", ["away", "password"])
async def test_a_pool_that_gave_up_connects_again_when_it_is_asked(database: str, fault: str) -> None:
    """After a while a pool stops trying by itself; the next call makes it try anew, with the password of by then."""
    async with ChaosProxy(server_address(database)) as proxy:
        right = through(database, proxy.port)
        url = ServerUrl(right if fault == "away" else f"{right} password=wrong")
        reader = ReadPool(DatabaseOptions(url), Metrics())
        reader._pool.timeout = reader._pool.reconnect_timeout = 0.5
        await reader.open()
        if fault == "away":
            await proxy.refuse()
        for _ in range(2):
            with pytest.raises(Unavailable):
                await reader.rows("session.alive")
        await eventually(lambda: _stats(reader._pool).get("connections_errors", 0) >= 1)
        await eventually(lambda: _stats(reader._pool)["pool_size"] == 0, message="it gave up")
        reader._pool.timeout = _FOREVER_S
        reader._pool.reconnect_timeout = _FOREVER_S
        url.become(right)
        if fault == "away":
            await proxy.listen()
        assert await reader.rows("session.alive") == [(1,)]
        await reader.close()


def _stats(pool: AsyncConnectionPool[Any]) -> dict[str, int]:
    return pool.get_stats()
