"""The rolling audit: a thirtieth of all days is counted anew each day, so that no wrong line lives longer than a month.

Every commit moves rows and line together, so a difference means that somebody wrote around the program, or a fault of
ours. It is mended, counted and told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from ....model import DAY_MS, Dataset
from ....telemetry.log import get_logger
from ....telemetry.metrics import Metrics
from ..queries import query
from ..sessions.shared import SharedSession
from .days import day_of, start_of, utc
from .ledger import Correction, CoverageStore
from .work import counts

_log = get_logger("ledger")

ROUND_DAYS = 30
"""Every day is counted once in this many days."""
_TOLD = 10


class LedgerAudit:
    """``ports.CoverageAudit``: days D with D mod 30 = today mod 30 are counted today, spread over the day.

    What was counted since midnight is not counted again, so a restart costs nothing and a call that comes too late
    catches up.
    """

    def __init__(
        self,
        ledger: CoverageStore,
        session: SharedSession,
        metrics: Metrics | None = None,
        datasets: Sequence[Dataset] = (Dataset.CANDLES,),
    ) -> None:
        self._ledger = ledger
        self._session = session
        self._metrics = metrics
        self._datasets = datasets
        self._today: date | None = None
        self._done = 0

    async def audit(self, now_ms: int) -> int:
        """Count what is due by ``now_ms`` of today's share; how many lines were wrong. May be called at any interval.

        Raises ``Unavailable`` or ``Misconfigured``; the next call goes on where this one stopped.
        """
        today = day_of(now_ms)
        if self._today != today:
            self._today, self._done = today, 0
        share = await self._share(today)
        # The last quarter of the day is left for catching up.
        due = min(len(share), -(-len(share) * (now_ms - start_of(today)) * 4 // (DAY_MS * 3)))
        wrong: list[Correction] = []
        while self._done < due:
            day = share[self._done]
            for dataset in self._datasets:
                wrong += await self._count(dataset, day, today)
            self._done += 1
        self._tell(wrong)
        return len(wrong)

    async def _share(self, today: date) -> list[date]:
        """The days of today's share that are over, newest first."""
        rows = await self._session.rows(query("coverage", "first_listing"), self._exchange())
        if not rows or rows[0][0] is None:
            return []
        first = day_of(rows[0][0])
        steps = (today - first).days // ROUND_DAYS
        return [today - timedelta(days=ROUND_DAYS * step) for step in range(1, steps + 1)]

    async def _count(self, dataset: Dataset, day: date, today: date) -> list[Correction]:
        given = self._exchange() | {"dataset": dataset.value, "day": day, "since": utc(start_of(today))}
        symbols = [row[0] for row in await self._session.rows(query("coverage", "audited_days"), given)]
        wrong: list[Correction] = []
        for keys in counts((symbol, day) for symbol in symbols):
            wrong += await self._ledger.count(dataset, keys)
        return [item for item in wrong if not item.dirty]

    def _tell(self, wrong: Sequence[Correction]) -> None:
        for item in wrong:
            if self._metrics:
                self._metrics.ledger_corrections.labels(dataset=item.dataset.value).inc()
        for item in wrong[:_TOLD]:
            _log.error(
                "ledger_corrected",
                msg="the ledger did not say what is there",
                dataset=item.dataset.value,
                symbol=item.symbol,
                day=str(item.day),
                have=item.have,
                had=item.had,
                absent=item.absent,
                had_absent=item.had_absent,
                lines=len(wrong),
            )

    def _exchange(self) -> dict[str, object]:
        return {"exchange": self._session.exchange}
