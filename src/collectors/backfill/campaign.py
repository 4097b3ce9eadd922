"""Fills a scope: plans from the ledger, does the plan, and plans again until nothing is left that can be had now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import get_args

from ...errors import Retryable
from ...model import CoverageDay, Listing
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import outside
from ..backoff import Backoff
from .engine import Engine
from .folder import Trouble
from .job import Job, Outcome
from .plan import Plan, Tried
from .progress import Progress
from .scope import Scope
from .survey import Survey, View

_log = get_logger("backfill")

_BASE, _CAP = 1.0, 60.0
"""Wall seconds between two tries while the venue, the archive or the database is away."""
_LISTEN_S = 1.0


@dataclass(slots=True)
class Result:
    """How a filling ended.

    ``looked`` are days that were asked about and are still not complete, ``left`` their missing minutes; ``waiting``
    are days that a patient scope left alone. ``unanswered`` tasks had no answer, ``trouble`` is why files were not
    downloaded, ``stopped`` that it was told to end. ``tasks`` were done.
    """

    looked: list[CoverageDay] = field(default_factory=list)
    waiting: list[CoverageDay] = field(default_factory=list)
    left: int = 0
    tasks: int = 0
    unanswered: int = 0
    trouble: Trouble | None = None
    stopped: bool = False


@dataclass(slots=True)
class _Piece:
    """A stretch of a scope while it is filled; ``fresh``: ``--force`` has still to read its files."""

    scope: Scope
    listings: Sequence[Listing]
    since_ms: int
    until_ms: int
    fresh: bool
    tried: Tried = field(default_factory=Tried)


class Campaign:
    """One filling at a time; others wait for their turn, and ``wanted`` says that somebody does."""

    def __init__(self, survey: Survey, engine: Engine, metrics: Metrics) -> None:
        self._survey = survey
        self._engine = engine
        self._metrics = metrics
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._tell(None)

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for the present filling to end."""
        return self._waiting > 0

    async def plan(self, scope: Scope) -> AsyncIterator[Plan]:
        """The plan for the scope as things stand, piece by piece, the newest first; nothing is done. Raises
        ``Retryable`` or ``Misconfigured``."""
        listings = await self._survey.listings(scope)
        for since_ms, until_ms in scope.slices():
            yield (await self._look(_Piece(scope, listings, since_ms, until_ms, scope.force))).plan

    async def run(
        self,
        scope: Scope,
        progress: Progress,
        *,
        stop: Callable[[], bool] = lambda: False,
        persistent: bool = False,
    ) -> Result:
        """Fill the scope as far as can be done now.

        A ``persistent`` filling waits for whoever is away and tries again until it is done or told to stop; another one
        comes back with what it could not get. Raises ``Misconfigured``, and ``Retryable`` of the database when
        it is not persistent.
        """
        async with self.turn():
            result = Result()
            try:
                listings = await self._survey.listings(scope)
                for since_ms, until_ms in scope.slices():
                    piece = _Piece(scope, listings, since_ms, until_ms, scope.force)
                    await self._fill(piece, progress, result, stop, persistent)
                    if result.stopped or result.trouble:
                        break
                else:
                    # Also where nothing was to be done: whoever had to pause before may have given up.
                    self._tell(None)
            finally:
                progress.replan()
                progress.show(self._metrics)
            return result

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """While nobody else fills; for work of another kind on the same files."""
        self._waiting += 1
        try:
            # Somebody else's filling may take days; whether it hangs is seen at whoever fills.
            with outside("the filling before it"):
                await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turn.release()

    async def _fill(
        self, piece: _Piece, progress: Progress, result: Result, stop: Callable[[], bool], persistent: bool
    ) -> None:
        """Round after round, until one has nothing to do, gets nowhere, or has to end."""
        backoff = Backoff(_BASE, _CAP)
        while not stop():
            try:
                outcome = await self._round(piece, progress, result, stop)
            except Retryable as error:
                if not persistent:
                    raise
                _log.warning("database_away", msg=str(error), reason=error.reason)
                outcome = Outcome(unanswered=1, retry_after=error.retry_after)
            if outcome is None:
                return
            result.trouble = self._tell(outcome)
            progress.note = outcome.trouble or ("waiting" if outcome.unanswered else "")
            if not outcome.unanswered and not outcome.trouble:
                backoff.reset()
            elif outcome.trouble == "disk_low" or not (persistent or outcome.settled):
                result.unanswered += outcome.unanswered
                return
            else:
                result.trouble = None
                await _pause(max(backoff.next(), outcome.retry_after), stop)
        result.stopped = True

    async def _round(
        self, piece: _Piece, progress: Progress, result: Result, stop: Callable[[], bool]
    ) -> Outcome | None:
        """Plan and do it; None when there is nothing to do."""
        view = await self._look(piece)
        progress.replan()
        progress.plan_more(len(view.plan.files) + len(view.plan.requests), view.plan.minutes)
        progress.show(self._metrics)
        if view.plan.empty and not piece.fresh:
            result.left += view.plan.left
            result.looked += [view.days[key] for key in view.parts]
            result.waiting += view.waiting
            return None
        scope = piece.scope
        job = Job(scope.priority, progress, piece.fresh, scope.keep, view.proofs(), stop)
        outcome = await self._engine.run(view.plan, job)
        result.tasks += outcome.settled
        piece.tried.asked |= {key: view.state(key) for key in outcome.lacking}
        piece.tried.files |= outcome.imported.keys() | outcome.failed.keys()
        if not (outcome.unanswered or outcome.trouble or outcome.stopped):
            piece.fresh = False
        return outcome

    async def _look(self, piece: _Piece) -> View:
        if piece.fresh:
            return await self._survey.everything(piece.listings, piece.since_ms, piece.until_ms, piece.tried)
        return await self._survey.look(
            piece.scope, piece.listings, piece.since_ms, piece.until_ms, piece.tried
        )

    def _tell(self, outcome: Outcome | None) -> Trouble | None:
        trouble = outcome.trouble if outcome else None
        for reason in get_args(Trouble):
            self._metrics.backfill_paused.labels(reason=reason).set(trouble == reason)
        return trouble


async def _pause(seconds: float, stop: Callable[[], bool]) -> None:
    """Wall seconds, or until it is told to stop: a ban may last for days, and others wait for their turn meanwhile."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        left = until - loop.time()
        if left <= 0 or stop():
            return
        await asyncio.sleep(min(left, _LISTEN_S))
