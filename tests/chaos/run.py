"""One run: the world, all faults of the schedule, the end of all of them, and the oracle's judgement."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.faults import filling
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.faketime import Faketime
from tests.support.oracle import Verdict
from tests.support.venue import VenueOptions
from tests.support.world import World, open_world

from .ground import AWAY, Ground, Keeper, Refused
from .plan import Plan, plan
from .process import BLOCK_S
from .schedule import Event

SECONDS = 25.0
"""Wall seconds of faults in a short run: eight minutes of the venue at speed 20."""
SERVER_SETTINGS = {"max_connections": "30"}
"""Few enough that strangers can take all places."""
_READY_S = 180.0
"""Wall seconds until it is ready again: its process may have to start first, behind the session of one that is dead
(30 s), and its requests behind a ban. What is missing then has the time that it has after every fault."""
_LEAST_KINDS = 6
"""Kinds of faults that must have had an effect, or the run proves nothing."""
_OPTIONS = VenueOptions(symbols=120)
_SETTINGS = {"STREAMS_PER_CONNECTION": "40", "FAULT_BLOCK_S": str(BLOCK_S)}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did and found; ``seconds`` of wall time in all."""

    seed: int
    events: int
    fired: Counter[str]
    passed_over: Counter[str]
    ends: Counter[int]
    verdict: Verdict
    seconds: float

    def __str__(self) -> str:
        fired = ", ".join(f"{name} {number}" for name, number in sorted(self.fired.items()) if number)
        ends = ", ".join(f"{code}: {number}" for code, number in sorted(self.ends.items()))
        return (
            f"seed {self.seed}: {self.verdict}; {self.events} faults in {self.seconds:.0f} s"
            f"\n  fired: {fired}\n  the process ended with {ends or 'nothing'}"
            f"\n  found nothing to act on: {dict(self.passed_over) or 'none'}"
        )


async def chaos(seed: int, seconds: float, folder: Path, cluster: Cluster, say: Say = print) -> Outcome:
    """Run the schedule of ``seed``; ``AssertionError`` with samples of what is wrong in the end.

    ``cluster`` runs, is migrated, and is this run's own: it will be stopped and killed.
    """
    made = plan(seed, seconds)
    say(f"chaos: seed {seed}, {seconds:g} s: python -m tests.chaos --seed {seed} --seconds {seconds:g}")
    began = time.monotonic()
    date = Faketime(folder) if made.dated and Faketime.LIBRARY.exists() else None
    async with _world(made, folder, cluster) as world:
        world.daemon_with(**_SETTINGS, **(date.settings if date else {}))
        if made.at_first is not None:
            say(f"at first  archive {made.at_first}")
            await world.venue.control("archive", **made.at_first)
        await world.begin()
        ground = Ground(world, cluster, Keeper(world.daemon), date)
        await _play(ground, made, say)
        verdict = await _judged(ground, made)
        for proxy in (world.rest, world.stream, world.database):
            ground.fired.update(proxy.fired)
    del ground.fired["connections"]  # of the proxies: no fault
    kinds = [name for name, number in ground.fired.items() if number]
    assert len(kinds) >= _LEAST_KINDS, f"hardly anything went wrong: {kinds}"
    return Outcome(
        seed,
        len(made.schedule.events),
        ground.fired,
        ground.passed_over,
        ground.keeper.ends,
        verdict,
        time.monotonic() - began,
    )


def _world(made: Plan, folder: Path, cluster: Cluster) -> AbstractAsyncContextManager[World]:
    if made.filling:
        return filling.open_past(folder, cluster.url, module="tests.support.variant")
    return open_world(folder, cluster.url, options=_OPTIONS, module="tests.support.variant")


async def _play(ground: Ground, made: Plan, say: Say) -> None:
    """All lanes at once for the time of the schedule; then every fault has been ended by who made it."""
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(ground.keeper.run(), name="keeper")
        lanes = [
            group.create_task(_lane(ground, made, lane, say), name=f"chaos {lane}") for lane in made.lanes
        ]
        await asyncio.wait(lanes, timeout=made.schedule.seconds)
        for lane in lanes:
            lane.cancel()
        await asyncio.wait(lanes)
        # Who was cancelled may have left them ended; a thread that was stopping the server is waited for by its lock.
        for proxy in (ground.world.rest, ground.world.stream, ground.world.database):
            await proxy.listen()
        await asyncio.to_thread(ground.cluster.start)
        await ground.bring_back_venue()
        await ground.note_fired()
        await ground.world.venue.clear()
        await eventually(ground.world.daemon.is_ready, timeout=_READY_S, message="ready again")
        keeper.cancel()


async def _lane(ground: Ground, made: Plan, lane: str, say: Say) -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    for event in made.schedule.of_lane(lane):
        await asyncio.sleep(max(0.0, event.at - (clock() - began)))
        say(f"{clock() - began:6.1f} s  {event}")
        await _act(ground, made, event)


async def _act(ground: Ground, made: Plan, event: Event) -> None:
    try:
        await made.act(event.lane, event.fault)(ground, event.seconds, event.arguments)
    except (*AWAY, psycopg.Error, Refused):
        # Another fault took away what this one is made with, or a symbol is gone.
        ground.passed_over[event.fault] += 1


async def _judged(ground: Ground, made: Plan) -> Verdict:
    """The common pass rule; of a world with a past also its ledger."""
    if made.filling:
        return await filling.finish(ground.world)
    return await ground.world.finish()
