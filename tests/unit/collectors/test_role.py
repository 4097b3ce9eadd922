from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from src.collectors.running import role as role_module
from src.collectors.running.role import LockKeeper
from src.collectors.running.turn import Turn
from src.errors import AlreadyRunning, ConfigError, Unavailable
from src.telemetry.health import Health
from tests.support.eventually import eventually


class FakeLock:
    """Says what ``trouble`` says, at every question; without any the lock is ours."""

    def __init__(self, trouble: Exception | None = None, *, may_close: bool = False) -> None:
        self.trouble = trouble
        self.may_close = may_close
        self.opened = self.checked = self.closed = 0

    async def open(self) -> None:
        self.opened += 1
        if self.trouble:
            raise self.trouble

    async def check(self) -> None:
        self.checked += 1
        if self.trouble:
            raise self.trouble

    async def finish_run(self) -> None:
        raise AssertionError("the keeper does not end the run")

    async def close(self) -> None:
        assert self.may_close, "the keeper closes no lock whose role leads"
        self.closed += 1


@asynccontextmanager
async def running(keeper: LockKeeper) -> AsyncIterator[asyncio.Task[None]]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(keeper.run(), name="keeper")
        try:
            yield task
        finally:
            assert await keeper.drain(1.0) == 0


async def test_readers_have_their_turn_while_the_lock_is_ours() -> None:
    lock, health = FakeLock(), Health()
    keeper = LockKeeper("metrics", lock, waits=False, health=health, every=0.01)
    async with running(keeper):
        await keeper.settled.wait()
        await eventually(lambda: lock.checked > 2)
        assert health.database_writable


async def test_another_holder_ends_it_at_once() -> None:
    keeper = LockKeeper("metrics", FakeLock(AlreadyRunning("pid 1")), waits=False)
    with pytest.raises(AlreadyRunning, match="pid 1"):
        await keeper.run()
    assert not keeper.settled.is_set()


async def test_who_waits_gets_the_lock_when_it_is_free() -> None:
    lock = FakeLock(AlreadyRunning("pid 1"))
    keeper = LockKeeper("backfill", lock, waits=True, every=0.01)
    async with running(keeper):
        await eventually(lambda: lock.opened)
        assert not keeper.settled.is_set()
        lock.trouble = None
        await eventually(keeper.settled.is_set)


class Heard:
    """In the place of the log."""

    def __init__(self) -> None:
        self.held: list[str] = []

    def warning(self, event: str, *, msg: str, **fields: object) -> None:
        assert event == "lock_held"
        self.held.append(msg)

    def info(self, event: str, **fields: object) -> None:
        return


async def test_each_holder_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby waits for months, and asks every two seconds."""
    heard = Heard()
    monkeypatch.setattr(role_module, "_log", heard)
    monkeypatch.setattr(role_module, "_STANDBY_POLL", 0.001)
    lock = FakeLock(AlreadyRunning("pid 1"))
    keeper = LockKeeper("backfill", lock, waits=True, every=0.01)
    async with running(keeper):
        await eventually(lambda: lock.opened > 5)
        lock.trouble = AlreadyRunning("pid 2")
        opened = lock.opened
        await eventually(lambda: lock.opened > opened + 5)
    assert heard.held == ["pid 1", "pid 2"]


async def test_a_database_that_goes_away_is_waited_for_and_said() -> None:
    lock, health = FakeLock(), Health()
    keeper = LockKeeper("metrics", lock, waits=False, health=health, every=0.01)
    async with running(keeper):
        await keeper.settled.wait()
        lock.trouble = Unavailable("gone")
        await eventually(lambda: not health.database_writable)
        assert keeper.settled.is_set(), "readers wait for the database themselves"
        lock.trouble = None
        await eventually(lambda: health.database_writable)


async def test_pending_migrations_end_the_first_start() -> None:
    keeper = LockKeeper("metrics", FakeLock(ConfigError("pending migrations: 0001")), waits=True)
    with pytest.raises(ConfigError, match="pending"):
        await keeper.run()


async def test_who_follows_asks_only_while_the_lead_lasts_and_gives_back_after() -> None:
    lock, lead = FakeLock(may_close=True), Turn()
    keeper = LockKeeper("metrics", lock, waits=True, every=0.01)
    keeper.follow(lead)
    async with running(keeper):
        await asyncio.sleep(0.05)
        assert not lock.opened
        lead.set()
        await eventually(keeper.settled.is_set)
        lead.clear()
        await eventually(lambda: lock.closed)
        assert not keeper.settled.is_set()
        opened = lock.opened
        await asyncio.sleep(0.05)
        assert lock.opened == opened, "it asks for the lock without the lead"
        lead.set()
        await eventually(keeper.settled.is_set)
        assert lock.closed == 1
