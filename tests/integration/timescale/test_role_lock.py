"""The lock of a role without a writer, on the real server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.role_lock import SessionLock
from src.errors import AlreadyRunning, ConfigError, Unavailable
from tests.faults.database import ask
from tests.support.eventually import eventually


async def _opens(lock: SessionLock) -> bool:
    try:
        await lock.open()
    except AlreadyRunning:
        return False
    return True


async def test_one_holder_for_each_role(database: str) -> None:
    first = SessionLock(DatabaseOptions(database, role="metrics", run_id="first"))
    second = SessionLock(DatabaseOptions(database, role="metrics", run_id="second"))
    other = SessionLock(DatabaseOptions(database, role="backfill", run_id="second"))
    try:
        await first.open()
        await first.check()
        with pytest.raises(AlreadyRunning, match=r"marketd/metrics/first"):
            await second.open()
        await other.open()
        await first.finish_run()
        await first.close()
        await eventually(lambda: _opens(second), message="the server sees that the first is gone")
    finally:
        for lock in (first, second, other):
            await lock.close()
    runs = await ask(database, "SELECT run_id, role, clean FROM market_data.daemon_runs ORDER BY 1, 2")
    assert runs == [("first", "metrics", True), ("second", "backfill", None), ("second", "metrics", None)]


async def test_a_lost_session_is_told_and_the_lock_taken_again(database: str) -> None:
    lock = SessionLock(DatabaseOptions(database, role="metrics", run_id="only"))
    await lock.open()
    await ask(
        database,
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
        " WHERE application_name = 'marketd/metrics/only' AND datname = current_database()",
    )
    with pytest.raises(Unavailable):
        await lock.check()
    await eventually(lambda: _opens(lock))
    await lock.check()
    await lock.close()


async def test_pending_migrations_are_named(empty_database: str) -> None:
    lock = SessionLock(replace(DatabaseOptions(empty_database), role="metrics"))
    with pytest.raises(ConfigError, match="0001_candles"):
        await lock.open()
