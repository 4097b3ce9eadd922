"""``marketd backfill``: plans, prints the plan, and has it done by the daemon or does it itself."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ...adapters.timescale.sessions.role_lock import SessionLock
from ...collectors.backfill.estimate import Estimate, add_up, estimate
from ...collectors.backfill.plan import Source
from ...collectors.backfill.progress import Progress
from ...collectors.backfill.scope import UNSETTLED_MS, Scope, parse_moment
from ...collectors.retention import refuse_older
from ...config import Settings
from ...errors import EXIT_FAILURE, EXIT_OK, AlreadyRunning, ConfigError, Retryable, Unavailable
from ...model import BackfillRequest, floor_minute
from ...telemetry import log
from ...telemetry.metrics import Metrics
from ...wiring.core import Core
from ...wiring.history import History
from ...wiring.leasing import leasing
from ...wiring.options import database_options
from ...wiring.roles import BACKFILL
from .. import output
from ..context import Context
from .view import ProgressView, plan_lines

_INTERRUPTED = 130
_LOOK_S = 1.0
_LAST_WORD_S = 30.0
"""How long the daemon may take to end what it was doing after Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options as they were given; ``since`` and ``until`` are a day, a UTC time, or None."""

    symbols: tuple[str, ...]
    since: str | None
    until: str | None
    source: str
    workers: int | None
    dry_run: bool
    force: bool
    keep: bool


def run(context: Context, wanted: Wanted) -> int:
    """Returns 0 when everything that was asked for is there, 1 when something cannot be had now, 130 after Ctrl-C.

    Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``.
    """
    settings = context.settings("DATABASE_URL")
    settings.check()
    return asyncio.run(_Command(settings, wanted).run())


class _Command:
    def __init__(self, settings: Settings, wanted: Wanted) -> None:
        self._settings = settings
        self._wanted = wanted
        self._stop = asyncio.Event()
        run_id = log.new_run_id()
        self._core = Core(settings, Metrics(), run_id=run_id)
        self._history = History(self._core, recent_ms=UNSETTLED_MS, workers=wanted.workers)
        self._lock = SessionLock(database_options(settings, run_id, BACKFILL))

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        async with leasing(self._core.budgets), self._opened():
            await self._set_clock()
            ours = await self._take_lock()
            if ours:
                await self._learn()
            scope = self._scope()
            cost = await self._estimate(scope)
            for line in plan_lines(scope, cost, dry_run=self._wanted.dry_run):
                output.line(line)
            if self._wanted.dry_run or not (cost.files or cost.requests):
                return EXIT_FAILURE if cost.left else EXIT_OK
            return await (self._work(scope, cost) if ours else self._follow(scope, cost))

    def _scope(self) -> Scope:
        """What was asked for. Raises ``ConfigError`` for what is not a time, lies the wrong way round, or would be
        dropped by retention again."""
        wanted, now_ms = self._wanted, self._core.clock.now_ms()
        settled_ms = floor_minute(now_ms - UNSETTLED_MS)
        until_ms = min(parse_moment(wanted.until, "--to"), settled_ms) if wanted.until else settled_ms
        since_ms = self._history.since(now_ms)
        if wanted.since == "listing":
            since_ms = self._history.floor(now_ms)
        elif wanted.since:
            since_ms = parse_moment(wanted.since, "--from")
            settings = self._settings
            refuse_older(since_ms, now_ms, settings.retention_days, settings.chunk_days)
        if since_ms >= until_ms:
            raise ConfigError("--from, --to: nothing lies between them that is over yet")
        return Scope(
            self._core.selection,
            since_ms,
            until_ms,
            only=wanted.symbols or ("*",),
            source=Source(wanted.source),
            force=wanted.force,
            keep=wanted.keep,
        )

    async def _set_clock(self) -> None:
        """Adopt the venue's time; a real venue that is away leaves this computer's."""
        try:
            self._core.clock.set(await self._core.rest.server_time())
        except Retryable as error:
            if self._settings.speed != 1:
                raise
            output.note(
                f"{self._settings.binance_rest_url} does not answer ({error}); this computer's time is used"
            )

    async def _learn(self) -> None:
        try:
            await self._history.learn()
        except Retryable as error:
            output.note(f"the venue's contracts cannot be read ({error}); those known are used")

    async def _take_lock(self) -> bool:
        """Whether this process may work itself; otherwise a daemon does."""
        try:
            await self._lock.open()
        except AlreadyRunning as error:
            output.note(f"handing over: {error}")
            return False
        return True

    async def _estimate(self, scope: Scope) -> Estimate:
        settings = self._settings
        budget = {
            "weight_per_minute": settings.rate_limit_per_minute,
            "workers": self._history.workers,
        }
        costs = [estimate([plan], **budget) async for plan in self._history.campaign.plan(scope)]
        return add_up(costs, **budget)

    async def _work(self, scope: Scope, cost: Estimate) -> int:
        """Do it here."""
        progress = Progress()
        with ProgressView(cost.rows) as view:
            showing = asyncio.create_task(view.follow(progress), name="progress")
            try:
                result = await self._history.campaign.run(
                    scope, progress, stop=self._stop.is_set, persistent=True
                )
            finally:
                showing.cancel()
                await asyncio.wait({showing})
            view.show(progress)
        if result.stopped:
            output.note("stopped; the same command goes on where this one stopped")
            return _INTERRUPTED
        if result.trouble == "disk_low":
            raise Unavailable(
                f"{self._settings.archive_folder}: less than 10 % of its disk is free; make room and ask again",
                reason="disk_low",
            )
        return _told(progress, result.left)

    async def _follow(self, scope: Scope, cost: Estimate) -> int:
        """Have the daemon do it, and watch."""
        requests = self._history.requests
        asked = BackfillRequest(
            0, scope.only, scope.since_ms, scope.until_ms, scope.source.value, scope.force, scope.keep
        )
        request = await requests.ask(asked, by=f"pid {os.getpid()} on {socket.gethostname()}")
        told_at: float | None = None
        with ProgressView(cost.rows) as view:
            while True:
                seen = await requests.look(request)
                progress = Progress.from_dict(seen.progress)
                view.show(progress)
                if seen.over:
                    break
                loop = asyncio.get_running_loop()
                if self._stop.is_set() and told_at is None:
                    await requests.cancel(request)
                    told_at = loop.time()
                if told_at is not None and loop.time() - told_at > _LAST_WORD_S:
                    output.note("the daemon was told to stop and has not answered yet")
                    return _INTERRUPTED
                if seen.state == "waiting" and told_at is None and await self._is_alone():
                    output.note("the daemon is gone; going on without it")
                    await requests.cancel(request)
                    return await self._work(scope, cost)
                await self._pause()
        output.note(seen.detail)
        if seen.state == "cancelled":
            return _INTERRUPTED
        return EXIT_OK if seen.detail == "complete" else EXIT_FAILURE

    async def _is_alone(self) -> bool:
        try:
            await self._lock.open()
        except AlreadyRunning:
            return False
        return True

    async def _pause(self) -> None:
        if self._stop.is_set():
            await asyncio.sleep(_LOOK_S)
            return
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._stop.wait()
        except TimeoutError:
            return

    def _on_signal(self) -> None:
        if self._stop.is_set():
            os._exit(_INTERRUPTED)
        output.note("stopping after what is under way; again to end at once")
        self._stop.set()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        try:
            await self._core.rest.open()
            await self._history.archive.open()
            yield
        finally:
            for closer in (*self._history.closers(), *self._core.closers()):
                await closer.close()
            await self._lock.finish_run()
            await self._lock.close()


def _told(progress: Progress, left: int) -> int:
    output.line(
        f"done: {progress.rows_inserted} rows stored, {progress.rows_replaced} replaced,"
        f" {progress.absent} proved absent, {progress.quarantined} files unusable"
    )
    if left:
        output.note(f"{left} minutes cannot be had now: no source has them, or not yet")
        return EXIT_FAILURE
    return EXIT_OK
