"""What the rows about the database ask it directly, past every proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import LiteralString

import psycopg

from tests.support.eventually import eventually
from tests.support.world import World

_WRITERS = (
    "SELECT pid, wait_event_type FROM pg_stat_activity"
    " WHERE application_name LIKE 'marketd/ws/%' AND datname = current_database()"
)
"""The writer's session goes by this name; the shared server also has those of other runs, in other databases."""

_COPYING = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE application_name LIKE 'marketd/ws/%' AND datname = current_database() AND state = 'active'"
    " AND query LIKE 'COPY%' AND wait_event = 'ClientRead' AND clock_timestamp() - query_start > '0.5 s'"
)
"""Half a second in a COPY means that it is one of many rows, and far from its end."""
_SLOW_BYTES = 10_000.0
"""Bytes per second."""


@asynccontextmanager
async def session(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A session in autocommit mode; what it locked is let go at the end."""
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True, application_name="fault run")
    async with connection:
        yield connection


async def ask(url: str, statement: LiteralString, *values: object) -> list[tuple[object, ...]]:
    """The rows of one statement."""
    async with session(url) as connection:
        return await (await connection.execute(statement, values or None)).fetchall()


@asynccontextmanager
async def drifted(world: World, damage: LiteralString, mend: LiteralString) -> AsyncIterator[None]:
    """``damage`` is done to the database for as long as the body runs."""
    async with session(world.database_url) as owner:
        await owner.execute(damage)
        try:
            yield
        finally:
            await owner.execute(mend)


async def writers(url: str) -> list[int]:
    """Process ids of the writer's sessions.

    There is one at most, whatever goes wrong; only a ghost stands beside its successor until that one has ended it.
    """
    return [int(str(pid)) for pid, _ in await ask(url, _WRITERS)]


async def writer(url: str) -> int:
    """Process id of the one session that writes."""
    (pid,) = await eventually(lambda: writers(url), timeout=60, message="the writer has a session")
    return pid


async def writer_waits(url: str) -> bool:
    """True while the writer waits for somebody's lock."""
    return any(waits == "Lock" for _, waits in await ask(url, _WRITERS))


def other_writer(world: World, pid: int) -> Callable[[], Awaitable[bool]]:
    """A condition: the writer has a session, and ``pid`` is gone; a server that recovers counts as "not yet"."""

    async def condition() -> bool:
        try:
            others = await writers(world.database_url)
        except psycopg.OperationalError:
            return False
        return bool(others) and pid not in others

    return condition


async def copying(world: World) -> int:
    """Slow the line to the database, wait until a COPY is half-way; the server process that reads it.

    The COPY of one minute of 200 symbols then takes three seconds; ``database.heal()`` ends that.
    """
    world.database.up.rate = _SLOW_BYTES

    async def half_way() -> list[int]:
        return [int(str(pid)) for (pid,) in await ask(world.database_url, _COPYING)]

    (pid,) = await eventually(half_way, timeout=60, message="a COPY is half-way")
    return pid


async def check_books(world: World) -> None:
    """G1 to the row: counted as inserted is stored, and nothing else is; called while the daemon is cut off.

    The next try would hide what the failed one did wrong, so nobody may write while this looks.
    """
    seen = await world.daemon.metrics()
    stored = await world.oracle.stored()
    assert len(stored) == seen.total("rows_committed_total", result="inserted"), "half a batch is stored"
    assert seen.total("buffer_rows") > 0, "the batch is gone"
    assert seen.total("rows_dropped_total") == 0
    await world.oracle.check_all()
