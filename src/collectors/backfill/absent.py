"""Asks again for rows that were proved to exist nowhere: venues mend their past, after days or weeks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...model import DAY_MS, Dataset, FileState, Gap, Span
from ...ports import ArchiveNotes, CoverageNotes, Priority
from ...telemetry.log import get_logger
from .cheapest import cheapest
from .days import split_days
from .engine import Engine
from .job import Job, Proofs
from .plan import Plan
from .progress import Progress

_log = get_logger("patrol")

_AT_ONCE = 200
"""Stretches of absent rows asked for in one pass."""


class AbsentWork:
    """Rows that come are stored, which takes their absence back; for the others the absence is noted once more. Before
    ``floor(now_ms)``, the first instant that retention keeps, nothing is asked for."""

    def __init__(
        self,
        notes: CoverageNotes,
        files: ArchiveNotes,
        engine: Engine,
        *,
        floor: Callable[[int], int] = lambda _: 0,
    ) -> None:
        self._notes = notes
        self._files = files
        self._engine = engine
        self._floor = floor

    async def run(self, now_ms: int) -> int:
        """Ask for what is due now; how many minutes that was. Raises ``Retryable`` or ``Misconfigured``."""
        gaps = await self._notes.absences_due(Dataset.CANDLES, now_ms, _AT_ONCE, since_ms=self._floor(now_ms))
        if not gaps:
            return 0
        requests = tuple(cheapest(gaps))
        job = Job(Priority.REPAIR, Progress(), proofs=await self._proofs(gaps))
        outcome = await self._engine.run(Plan(requests=requests), job)
        if outcome.settled:
            # What REST refuses, or has and cannot be stored, would stand first for ever and keep all others from being
            # asked for.
            await self._notes.postpone_absences(Dataset.CANDLES, gaps, now_ms, now_ms + DAY_MS)
        minutes = sum(gap.minutes for gap in gaps)
        _log.info("absent_asked_again", msg=f"{minutes} absent minutes asked for again", minutes=minutes)
        return minutes

    async def _proofs(self, gaps: Sequence[Gap]) -> Proofs:
        days = sorted(day for _, day in split_days(gaps))
        known = await self._files.known(Dataset.CANDLES, days[0], days[-1])
        return {
            (item.file.symbol, item.file.first_day): item
            for item in known
            if item.state is FileState.IMPORTED and item.file.span is Span.DAILY
        }
