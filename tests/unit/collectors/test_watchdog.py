"""What the manager is told: on a real notify socket, with real supervisors."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from src.adapters.service_manager import SystemdManager
from src.collectors.running.supervisor import Supervisor
from src.collectors.running.watchdog import Watchdog, status_line
from src.telemetry.health import Health
from src.telemetry.metrics import Metrics
from src.telemetry.pulse import Pulse, follow_tasks, outside
from tests.support.eventually import eventually
from tests.support.fakes import EPOCH, count
from tests.support.notify_socket import NotifySocket

_BEAT_S = 0.05


class Bench:
    """A watchdog over one supervised collector, which hangs until ``free`` is set and moves then."""

    def __init__(self, heard: NotifySocket) -> None:
        self.heard, self.metrics, self.stop = heard, Metrics(), asyncio.Event()
        self.free, self.cause = asyncio.Event(), ""
        self.up, self.status = True, "ws: ready"
        self.seconds = itertools.count()
        pulse = Pulse("ws")
        self.supervisor = Supervisor("ws", self._work, self.metrics, pulse=pulse)
        environ = {"NOTIFY_SOCKET": heard.name, "WATCHDOG_USEC": str(int(2e6 * _BEAT_S))}
        self.watchdog = Watchdog(
            SystemdManager(environ, self.metrics),
            [pulse],
            self.metrics,
            is_up=lambda: self.up,
            status=lambda: self.status,
            # A second passes with each look, however slow the machine is.
            stuck_s=6.0,
            monotonic=lambda: float(next(self.seconds)),
        )

    async def _work(self) -> None:
        if self.cause:
            with outside(self.cause):
                await asyncio.Event().wait()
        await self.free.wait()
        while True:  # noqa: ASYNC110 - moving is all it does
            await asyncio.sleep(0.01)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        follow_tasks(loop)
        tasks = [
            asyncio.create_task(self.supervisor.run(), name="supervisor"),
            asyncio.create_task(self.watchdog.run(self.stop), name="watchdog"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            loop.set_task_factory(None)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with NotifySocket.open(str(tmp_path / "notify")) as heard:
        yield Bench(heard)


async def test_ready_is_told_once_and_only_when_all_is_up(bench: Bench) -> None:
    bench.up = False
    bench.free.set()
    async with bench.running():
        await bench.heard.wait_for("WATCHDOG=1", times=10)
        assert bench.heard.times("READY=1") == []
        bench.up = True
        await bench.heard.wait_for("READY=1")
        assert set(bench.heard.statuses()) == {"ws: ready"}
        await bench.heard.wait_for("WATCHDOG=1", times=20)
        assert len(bench.heard.times("READY=1")) == 1


async def test_the_end_is_told_and_life_goes_on_while_it_drains(bench: Bench) -> None:
    bench.free.set()
    async with bench.running():
        await bench.heard.wait_for("READY=1")
        bench.stop.set()
        await bench.heard.wait_for("STOPPING=1")
        beats = len(bench.heard.times("WATCHDOG=1"))
        await bench.heard.wait_for("WATCHDOG=1", times=beats + 3)


async def test_a_collector_that_hangs_silences_the_watchdog_until_it_moves(bench: Bench) -> None:
    async with bench.running():
        await eventually(lambda: count(bench.metrics, "collectors_stuck") == 1, message="it is seen to hang")
        await asyncio.sleep(_BEAT_S)  # a sign may have been on its way
        beats = len(bench.heard.times("WATCHDOG=1"))
        await asyncio.sleep(10 * _BEAT_S)  # the time itself is what must stay silent
        assert len(bench.heard.times("WATCHDOG=1")) == beats
        bench.free.set()
        await bench.heard.wait_for("WATCHDOG=1", times=beats + 3)
        await eventually(lambda: count(bench.metrics, "collectors_stuck") == 0)


async def test_a_collector_that_names_a_cause_outside_costs_no_beat(bench: Bench) -> None:
    bench.cause = "the venue's time"
    async with bench.running():
        await bench.heard.wait_for("WATCHDOG=1", times=40)
        assert count(bench.metrics, "collectors_stuck") == 0


def test_the_status_says_what_runs_and_what_is_wrong() -> None:
    health = Health(expects_candles=True)
    roles = ("ws", "jobs")
    assert status_line(health, EPOCH, roles=roles, leads=False).startswith("standby for ws, jobs: ")
    assert status_line(health, EPOCH, roles=roles, leads=True) == (
        "ws, jobs: database not writable; no candle stored yet"
    )
    health.database_writable, health.newest_candle_close = True, EPOCH
    assert status_line(health, EPOCH + 5, roles=roles, leads=True) == "ws, jobs: ready"
    health.stopping = True
    assert status_line(health, EPOCH + 5, roles=roles, leads=True).startswith("stopping")


async def test_whoever_stood_still_as_a_whole_is_not_stuck_when_it_goes_on() -> None:
    """SIGSTOP for an hour: the first look after it must not find what had no time to move."""
    now = 100.0
    metrics, pulse = Metrics(), Pulse("ws")
    manager = SystemdManager({}, metrics)
    follow_tasks(asyncio.get_running_loop())

    async def hang() -> None:
        with pulse.watched():
            await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(hang(), name="ws")
    try:
        await asyncio.sleep(0)
        watchdog = Watchdog(
            manager,
            [pulse],
            metrics,
            is_up=lambda: True,
            status=str,
            stuck_s=1800.0,
            monotonic=lambda: now,
        )
        assert watchdog.look() == []
        now += 3600.0
        assert watchdog.look() == [], "it could not move while nobody could look"
        for _ in range(4):
            now += 600.0
            found = watchdog.look()
        assert found == ["ws"], "and from then on it counts as before"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        asyncio.get_running_loop().set_task_factory(None)
