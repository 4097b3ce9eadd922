"""One instance per (schema, exchange, role): refused by name, freed by death, and not blocked by our own ghost."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import LiteralString

import pytest

from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.options import DatabaseOptions
from src.errors import AlreadyRunning, Unavailable
from src.model import WriteResult
from tests.support.chaosproxy import ChaosProxy
from tests.support.eventually import eventually

from .helpers import CANDLE, fetch, opened, server_address, through

BACKENDS: LiteralString = (
    "SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database"
    " WHERE locktype = 'advisory' AND datname = current_database()"
)


async def test_the_second_instance_is_refused_and_told_who_holds_the_lock(database: str) -> None:
    async with opened(database):
        with pytest.raises(AlreadyRunning) as refused:
            await CandleStore(DatabaseOptions(database)).open()
    text = str(refused.value)
    assert f"pid {os.getpid()} on {socket.gethostname()} since 20" in text
    assert refused.value.exit_code == 75


@pytest.mark.parametrize(
    "other", [{"role": "backfill"}, {"exchange": "elsewhere"}], ids=lambda other: next(iter(other))
)
async def test_another_role_or_exchange_has_a_lock_of_its_own(database: str, other: dict[str, str]) -> None:
    async with opened(database), opened(database, **other) as second:
        assert second.is_open


async def test_a_closed_session_frees_the_lock(database: str) -> None:
    async with opened(database):
        pass
    await eventually(lambda: _can_open(database))


async def test_a_killed_session_frees_the_lock_and_the_loser_notices(database: str) -> None:
    async with opened(database) as first:
        await fetch(
            database,
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE locktype = 'advisory' AND datname = current_database()",
        )
        async with opened(database) as second:
            with pytest.raises(Unavailable):
                await first.write([CANDLE], [])
            assert not first.is_open
            with pytest.raises(AlreadyRunning):
                await first.open()
            assert await second.write([CANDLE], []) == WriteResult(1, 0, 0)


async def test_a_ghost_of_our_own_run_is_ended(database: str) -> None:
    """The network goes silent: the server still holds the old session's lock when we come back."""
    parts = DatabaseOptions(database)
    async with ChaosProxy(server_address(database)) as proxy:
        store = CandleStore(DatabaseOptions(through(database, proxy.port), run_id=parts.run_id))
        await store.open()
        assert store._session is not None
        store._session._deadline_s = (
            0.5  # of this session alone: opening one takes its time on a busy machine
        )
        ghost = await fetch(database, BACKENDS)
        proxy.up.stall()
        with pytest.raises(Unavailable):
            await store.write([CANDLE], [])
        assert await fetch(database, BACKENDS) == ghost, "the server has not noticed"
        again = CandleStore(DatabaseOptions(database, run_id=parts.run_id))
        await again.open()
        assert await again.write([CANDLE], []) == WriteResult(1, 0, 0)
        now = await fetch(database, BACKENDS)
        assert len(now) == 1
        assert now != ghost
        await again.close()


async def test_a_stranger_never_ends_the_holder(database: str) -> None:
    async with opened(database) as first:
        for _ in range(3):
            with pytest.raises(AlreadyRunning):
                await CandleStore(DatabaseOptions(database)).open()
        assert await first.write([CANDLE], []) == WriteResult(1, 0, 0)


async def test_of_many_at_once_one_wins(database: str) -> None:
    stores = [CandleStore(DatabaseOptions(database)) for _ in range(8)]
    results = await asyncio.gather(*(store.open() for store in stores), return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, AlreadyRunning) for result in results) == 7
    for store in stores:
        await store.close()


async def _can_open(url: str) -> bool:
    try:
        async with opened(url):
            return True
    except AlreadyRunning:
        return False
