"""Faults of the daemon's own process: killed, told to stop, paused, blocked, and its date set."""

from __future__ import annotations

import asyncio
import signal

from .ground import Fault, Ground, nothing
from .schedule import Arguments

BLOCK_S = 3.0
"""Wall seconds for which SIGUSR1 blocks the loop (``tests.support.variant``)."""
_STEPS = ("+3600", "-300", "+0 x1.05", "+86400", "-86400")


async def _killed(ground: Ground, seconds: float, _: Arguments) -> None:
    async with ground.keeper.ended(signal.SIGKILL):
        ground.fired["process_killed"] += 1
        await asyncio.sleep(seconds)


async def _stopped(ground: Ground, seconds: float, _: Arguments) -> None:
    async with ground.keeper.ended(signal.SIGTERM):
        ground.fired["process_stopped"] += 1
        await asyncio.sleep(seconds)


async def _paused(ground: Ground, seconds: float, _: Arguments) -> None:
    child = ground.world.daemon.child
    child.signal(signal.SIGSTOP)
    ground.fired["process_paused"] += 1
    try:
        await asyncio.sleep(seconds)
    finally:
        child.signal(signal.SIGCONT)


async def _blocked(ground: Ground, seconds: float, _: Arguments) -> None:
    # Before the loop runs SIGUSR1 would end the process.
    if await ground.world.daemon.is_ready():
        ground.world.daemon.child.signal(signal.SIGUSR1)
        ground.fired["loop_blocked"] += 1
    await asyncio.sleep(seconds)


async def _stepped(ground: Ground, seconds: float, arguments: Arguments) -> None:
    if ground.date is None:
        return
    ground.date.step(arguments["offset"])
    ground.fired["date_stepped"] += 1
    try:
        await asyncio.sleep(seconds)
    finally:
        ground.date.step("+0")


PROCESS = (
    Fault("process_killed", nothing, _killed),
    Fault("process_stopped", nothing, _stopped),
    Fault("process_paused", nothing, _paused),
)
BLOCKS = (Fault("loop_blocked", nothing, _blocked),)
"""Not beside ``DATE``: a sleep, which is what blocks, fails in libfaketime when the date steps back meanwhile."""
DATE = (Fault("date_stepped", lambda dice: {"offset": dice.choice(_STEPS)}, _stepped),)
