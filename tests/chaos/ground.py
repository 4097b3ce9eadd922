"""What the faults act on, and who starts the daemon again when one of them ended it."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp

from src.errors import EXIT_ALREADY_RUNNING, EXIT_OK
from tests.support.cluster import Cluster
from tests.support.daemon import STOP_S, Daemon
from tests.support.eventually import eventually
from tests.support.faketime import Faketime
from tests.support.world import World

from .schedule import Arguments

_RESTART_S = 1.0
"""Wall seconds until a process that ended is started again, as a service manager does it."""


class Refused(Exception):
    """The sandbox does not do that now: a symbol is gone, or does not trade."""


class Keeper:
    """Starts the daemon again whenever it ended, as systemd would, and judges how it ended.

    It may end with 75 by itself: the server may still hold the lock of a session that nobody has any more. With -9
    and 0 it ends when it was told to. Everything else is an ``AssertionError``.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._told: set[int] = set()
        self._may_run = asyncio.Event()
        self._may_run.set()
        self.ends: Counter[int] = Counter()

    async def run(self) -> None:
        while True:
            code = self._daemon.child.exit_code
            if code is None:
                await asyncio.sleep(0.05)
                continue
            self._judge(code)
            await asyncio.sleep(_RESTART_S)
            await self._may_run.wait()
            self._told.clear()
            self._daemon.start()

    @asynccontextmanager
    async def ended(self, number: signal.Signals) -> AsyncIterator[None]:
        """Inside the block the process has ended by this signal; after it, it is started again."""
        self._may_run.clear()
        self._told |= {EXIT_OK, -number} if number is signal.SIGTERM else {-number}
        try:
            self._daemon.child.signal(number)
            await self._daemon.child.wait(within=STOP_S)
            yield
        finally:
            self._may_run.set()

    def _judge(self, code: int) -> None:
        self.ends[code] += 1
        child = self._daemon.child
        allowed = {EXIT_ALREADY_RUNNING, *self._told}
        assert code in allowed, f"the daemon ended with {code}:\n{child.tail(40)}"
        # SIGTERM ends an interpreter that has not come to the daemon's first line.
        assert code != -signal.SIGTERM or not child.text(), f"it did not end itself:\n{child.tail(40)}"


@dataclass(slots=True)
class Ground:
    """One run. ``cluster`` is the server of the run's own, ``date`` the daemon's date where it can be set."""

    world: World
    cluster: Cluster
    keeper: Keeper
    date: Faketime | None
    fired: Counter[str] = field(default_factory=Counter)
    """What happened by the word of those who made it happen: the sandbox, the proxies, the keeper."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """Faults that found nothing to act on: the sandbox or the server was away just then."""

    def symbol(self, number: int) -> str:
        symbols: list[str] = self.world.venue.symbols
        return symbols[number % len(symbols)]

    async def control(self, command: str, arguments: Arguments) -> Any:
        """One command of the sandbox. Raises ``Refused``.

        A ``symbol`` that is a number is the one at that place, a ``connection`` the one at that place of the open ones.
        """
        if isinstance(symbol := arguments.get("symbol"), int):
            arguments = {**arguments, "symbol": self.symbol(symbol)}
        if isinstance(place := arguments.get("connection"), int):
            arguments = {**arguments, "connection": await self._connection(place)}
        venue = self.world.venue
        ask = venue.list_symbol if command == "list_symbol" else partial(venue.control, command)
        try:
            return await ask(**arguments)
        except AssertionError as error:
            raise Refused(str(error)) from error

    async def _connection(self, place: int) -> int:
        """The venue counts connections for ever: numbers of the first ones are soon nobody's."""
        found = await self.world.venue.connections()
        if not found:
            raise Refused("no connection is open")
        return int(found[place % len(found)]["number"])

    async def undo(self, work: Awaitable[object]) -> None:
        """Take a fault back; a sandbox that is away, or was started again, has forgotten it."""
        with suppress(*AWAY, Refused, AssertionError):
            await work

    async def bring_back_venue(self) -> None:
        """Start the venue's process if it has ended; returns when it answers, whoever started it."""
        if self.world.venue.children[-1].exit_code is not None:
            await self.world.venue.start()
        await eventually(self._venue_answers, message="the venue answers")

    async def _venue_answers(self) -> bool:
        try:
            await self.world.venue.stats()
        except AWAY:
            return False
        return True

    async def note_fired(self) -> None:
        """Take over the sandbox's counters, which go with its process."""
        self.fired.update((await self.world.venue.stats())["fired"])


Act = Callable[[Ground, float, Arguments], Awaitable[None]]
"""Makes a fault, lets it last for so many seconds and ends it, also when it is cancelled."""

AWAY = (aiohttp.ClientError, OSError, TimeoutError)
"""What asking a sandbox says that is just not there."""


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    draw: Callable[[Any], Arguments]
    act: Act


def nothing(_: object) -> Arguments:
    """The arguments of a fault that has none."""
    return {}
