"""What every role stands on: the venue's time, its contracts, its budget, and the process's health."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Literal

from ..adapters.binance.rest.client import BinanceRest
from ..adapters.memory import used_share
from ..adapters.rate_limiter import Budgets
from ..adapters.timescale.options import DatabaseOptions, ServerUrl, same_server
from ..adapters.timescale.rate_limits import RateLimitBook
from ..clock import VenueClock
from ..collectors.listings.universe import Universe
from ..collectors.running.clock_sync import ClockSync
from ..collectors.running.daemon import Closer, Part
from ..collectors.running.loop_lag import LoopLag
from ..collectors.running.memory_watch import MemoryWatch
from ..collectors.running.supervisor import Supervisor
from ..collectors.running.turn import Turn
from ..config import Settings
from ..model import Candle, Dataset
from ..ports.writing import Changed
from ..telemetry.health import Health
from ..telemetry.metrics import Metrics
from ..telemetry.pulse import OutsideEvent, Pulse
from .options import database_options, egress, plain, rest_options, selection

Interruption = Literal["clock", "suspended"]
"""What may have cost every role minutes."""


class Core:
    """Shared by all roles of one process. ``interrupted`` are told when minutes may have been lost, and why."""

    def __init__(self, settings: Settings, metrics: Metrics, *, run_id: str) -> None:
        self.settings = settings
        self.metrics = metrics
        self.run_id = run_id
        self.health = Health()
        self.clock = VenueClock(speed=settings.speed)
        self._writer, self._reader = ServerUrl(""), ServerUrl("")
        self.change_account(settings)
        self.budgets = Budgets(
            self.clock,
            metrics,
            fapi_limit=settings.rate_limit_per_minute,
            book=RateLimitBook(self.database("limits"), egress(settings), metrics),
        )
        self.rest = BinanceRest(rest_options(settings), self.budgets.fapi, self.clock, metrics)
        self.selection = selection(settings)
        self.followed: dict[Dataset, int] = {Dataset.CANDLES: 0}
        """What the ledger follows, each with the first instant at which it can be due (UTC ms)."""
        self.ledger_ready = OutsideEvent("the first look at the listings")
        """Set once the ledger has followed the listings, whoever keeps them here."""
        self.interrupted: list[Callable[[Interruption], None]] = []
        self.pulses: list[tuple[Pulse, Turn | None]] = []
        """Of each supervised collector, with the turn in which it runs (None: the lead's)."""
        self.committed: list[Callable[[Sequence[Candle]], None]] = []
        """Told what the live writer has committed, at once; they must not wait."""
        self.changed: list[Changed] = []
        """Told of rows that others here have committed: repaired, imported, or of another dataset than candles."""
        self.clock_sync = ClockSync(
            self.rest, self.clock, metrics, on_jump=lambda: self._tell_interrupted("clock")
        )
        self.universe = Universe(self.rest, self.clock, metrics, self.selection, after=self.clock_sync.ready)
        self.memory = MemoryWatch(used_share, metrics)
        self.loop_lag = LoopLag(self.clock, metrics, self.health, on_suspended=self._on_suspended)

    def database(self, role: str) -> DatabaseOptions:
        """How to reach the database in one of the process's roles, today and after a reload."""
        return replace(database_options(self.settings, self.run_id, role), url=self._writer)

    def reading(self, role: str) -> DatabaseOptions:
        """The same with the reader's rights, where ``DATABASE_READER_URL`` is set."""
        return replace(self.database(role), url=self._reader)

    def reaches(self, settings: Settings) -> bool:
        """Whether ``settings`` lead to the same database: half of us in another one would be two halves of a copy."""
        return all(same_server(url.plain, new) for url, new in self._urls(settings))

    def change_account(self, settings: Settings) -> None:
        """Whoever connects from now on does it with the account and password of ``settings``."""
        for url, new in self._urls(settings):
            url.become(new)

    def _urls(self, settings: Settings) -> list[tuple[ServerUrl, str]]:
        return [
            (self._writer, plain(settings.database_url) or ""),
            (self._reader, settings.reader_url() or ""),
        ]

    def collectors(self, clock_turn: Turn | None) -> list[Part]:
        return [
            self.supervised("clock_sync", self.clock_sync.run, turn=clock_turn),
            self.supervised("universe", self.universe.run),
        ]

    def closers(self) -> list[Closer]:
        return [Closer("rest", self.rest.close), Closer("budgets", self.budgets.close)]

    def supervised(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        *,
        progress: Callable[[], int] = int,
        turn: Turn | None = None,
    ) -> Part:
        """A collector that is started again when it fails, in the turns of its role."""
        pulse = Pulse(name)
        self.pulses.append((pulse, turn))
        return Part(name, Supervisor(name, work, self.metrics, progress=progress, pulse=pulse).run, turn)

    def tell_changed(self, symbol: str, at_ms: int) -> None:
        """Tell all who want to hear of rows that were committed."""
        for listener in self.changed:
            listener(symbol, at_ms)

    def _on_suspended(self) -> None:
        self.clock_sync.poke()
        self._tell_interrupted("suspended")

    def _tell_interrupted(self, reason: Interruption) -> None:
        for listener in self.interrupted:
            listener(reason)
