"""What a daemon can do, and what each of its roles brings into the process."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from ..collectors.running.daemon import Closer, Keeper, Part
from ..collectors.running.turn import Turn
from ..config import Settings
from ..telemetry.log import get_logger
from ..telemetry.pulse import Pulse

_log = get_logger("main")

WS = "ws"
METRICS = "metrics"
BACKFILL = "backfill"
TRADES = "trades"
UNISWAP = "uniswap"
JOBS = "jobs"
API = "api"
ROLES = (WS, METRICS, BACKFILL, TRADES, UNISWAP, JOBS, API)
"""In the order in which they take the lead: the first one's lock decides about the process. One lock and one row in
``daemon_runs`` each; of ``jobs`` and ``api`` there may be any number, on any machine."""
SHARED = frozenset({JOBS, API})
"""These follow nobody: the others work only where their process leads."""


Change = Callable[[], None]
"""What puts something new into force, and cannot fail."""

NEEDED: Mapping[str, tuple[str, ...]] = {UNISWAP: ("ETH_RPC_URL", "UNISWAP_POOLS")}
"""Settings without which a role has nothing to do: asked for by its name it is refused, and --all leaves it out."""


def everything(settings: Settings) -> list[str]:
    """What --all runs: every role that has what it needs."""
    return [
        name
        for name in ROLES
        if all(getattr(settings, need.lower()) for need in NEEDED.get(name, ()))
        and (name != TRADES or settings.collects_trades)  # one of two settings will do
    ]


class Role(ABC):
    """One role's parts. Constructing joins them; ``open`` makes what needs the event loop and sends nothing yet."""

    name: str
    keeper: Keeper

    def prepare(self) -> None:
        """Take ports and read files, before the venue or the database is touched. Raises ``ConfigError``."""
        return

    def reload(self, settings: Settings) -> Change:
        """Check what may change while the daemon runs (SIGHUP); what is returned changes it, if every role agrees.

        Raises ``ConfigError``.
        """
        return lambda: None

    async def open(self) -> None:
        return

    @abstractmethod
    def collectors(self) -> list[Part]: ...

    @abstractmethod
    def closers(self) -> list[Closer]: ...

    @abstractmethod
    async def finish_run(self) -> None:
        """Note in the database that the run ended by itself."""

    async def drain(self, seconds: float) -> int:
        """Store what the role's collectors left in memory, within so many wall seconds; returns what is left of it."""
        return 0

    def listening(self) -> AbstractContextManager[object]:
        """What is told of changes while the daemon runs."""
        return nullcontext()


class Leading:
    """The lead's keeper, whose drain is that of all roles, side by side: they have the same seconds."""

    def __init__(self, roles: Sequence[Role]) -> None:
        self._keeper, self._roles = roles[0].keeper, roles
        self.pulse = Pulse("writer")

    @property
    def settled(self) -> Turn:
        return self._keeper.settled

    async def run(self) -> None:
        with self.pulse.watched():
            await self._keeper.run()

    async def drain(self, seconds: float) -> int:
        async with asyncio.TaskGroup() as group:
            lead = group.create_task(self._keeper.drain(seconds), name="drain the lead")
            others = [
                group.create_task(_drain(role, seconds), name=f"drain {role.name}") for role in self._roles
            ]
        return lead.result() + sum(task.result() for task in others)


async def _drain(role: Role, seconds: float) -> int:
    """What goes wrong here must not cost the rows of another role."""
    try:
        return await role.drain(seconds)
    except Exception as error:
        _log.exception("drain_failed", msg=str(error) or type(error).__name__, role=role.name)
        return 0
