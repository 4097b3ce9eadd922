"""Faults of the database server itself: sessions, locks, places, tables, and the whole server."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack, suppress

import psycopg

from tests.faults.database import ask, session, writers
from tests.support.world import SCHEMA

from .ground import Fault, Ground, nothing
from .schedule import Arguments

_OUR_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name LIKE 'marketd/%' AND datname = current_database()"
)
_TABLES = ("candles_1m", "coverage_days", "gap_events", "rate_limit_state")
_LOCK_S = "2s"
"""How long a change of a table waits for those who use it; it is given up then, and nothing has happened."""


async def _terminated(ground: Ground, seconds: float, _: Arguments) -> None:
    ground.fired["terminated"] += len(await ask(ground.cluster.url, _OUR_SESSIONS))
    await asyncio.sleep(seconds)


async def _backend_killed(ground: Ground, seconds: float, _: Arguments) -> None:
    """kill -9 of one server process ends all sessions, and the server recovers."""
    ours = set(ground.cluster.processes())
    for pid in await writers(ground.cluster.url):
        if pid in ours:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                ground.fired["backend_killed"] += 1
    await asyncio.sleep(seconds)


async def _stopped(ground: Ground, seconds: float, arguments: Arguments) -> None:
    await asyncio.to_thread(ground.cluster.stop, immediate=arguments["immediate"])
    await _away(ground, "server_stopped", seconds)


async def _killed(ground: Ground, seconds: float, _: Arguments) -> None:
    await asyncio.to_thread(ground.cluster.kill)
    await _away(ground, "server_killed", seconds)


async def _away(ground: Ground, name: str, seconds: float) -> None:
    ground.fired[name] += 1
    await asyncio.sleep(seconds)
    await asyncio.to_thread(ground.cluster.start)


async def _locked(ground: Ground, seconds: float, arguments: Arguments) -> None:
    async with session(ground.cluster.url) as stranger, stranger.transaction(force_rollback=True):
        await stranger.execute(f"LOCK TABLE {SCHEMA}.{arguments['table']} IN ACCESS EXCLUSIVE MODE".encode())
        ground.fired["locked"] += 1
        await asyncio.sleep(seconds)


async def _crowded(ground: Ground, seconds: float, _: Arguments) -> None:
    """Strangers take every free place."""
    async with AsyncExitStack() as strangers:
        with suppress(psycopg.OperationalError):
            while True:
                await strangers.enter_async_context(session(ground.cluster.url))
        ground.fired["crowded"] += 1
        await asyncio.sleep(seconds)


async def _drifted(ground: Ground, seconds: float, arguments: Arguments) -> None:
    """A table goes by another name for a while."""
    table = arguments["table"]
    await _rename(ground, table, "gone")
    ground.fired["drifted"] += 1
    try:
        await asyncio.sleep(seconds)
    finally:
        await _rename(ground, "gone", table)


async def _rename(ground: Ground, name: str, other: str) -> None:
    async with session(ground.cluster.url) as owner:
        await owner.execute(f"SET lock_timeout = '{_LOCK_S if other == 'gone' else '60s'}'".encode())
        await owner.execute(f"ALTER TABLE {SCHEMA}.{name} RENAME TO {other}".encode())


SERVER = (
    Fault("terminated", nothing, _terminated),
    Fault("backend_killed", nothing, _backend_killed),
    Fault("server_stopped", lambda dice: {"immediate": dice.random() < 0.5}, _stopped),
    Fault("server_killed", nothing, _killed),
    Fault("locked", lambda dice: {"table": dice.choice(_TABLES)}, _locked),
    Fault("crowded", nothing, _crowded),
    Fault("drifted", lambda dice: {"table": dice.choice(_TABLES)}, _drifted),
)
