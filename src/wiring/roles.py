"""What a daemon can do, and what each of its roles brings into the process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from ..collectors.running.daemon import Closer, Keeper, Part
from ..config import Settings

WS = "ws"
METRICS = "metrics"
BACKFILL = "backfill"
TRADES = "trades"
UNISWAP = "uniswap"
JOBS = "jobs"
ROLES = (WS, METRICS, BACKFILL, TRADES, UNISWAP, JOBS)
"""In the order in which they take the lead: the first one's lock decides about the process. One lock and one row in
``daemon_runs`` each; of ``jobs`` there may be any number, on any machine."""


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

    async def open(self) -> None:
        return

    @abstractmethod
    def collectors(self) -> list[Part]: ...

    @abstractmethod
    def closers(self) -> list[Closer]: ...

    @abstractmethod
    async def finish_run(self) -> None:
        """Note in the database that the run ended by itself."""

    def listening(self) -> AbstractContextManager[object]:
        """What is told of changes while the daemon runs."""
        return nullcontext()
