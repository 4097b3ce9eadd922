"""Keeps RETENTION_DAYS and no more: the bound that everybody who fills asks for, and the job that drops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from ..errors import ConfigError
from ..model import DAY_MS
from ..ports import Clock, Expirer
from ..telemetry.log import get_logger
from ..telemetry.metrics import Metrics

_log = get_logger("retention")

_INTERVAL = 6 * 3600.0
"""Venue seconds between two looks. Chunks end at midnight UTC, so one look a day drops something at most; the
others mark what the ledger learned meanwhile of days that are no longer kept."""


def fill_from(now_ms: int, retention_days: int | None, chunk_days: int) -> int:
    """The first instant that retention keeps (UTC ms, a midnight); nothing before it may be filled. Pure.

    It is the start of the chunk that holds ``now - retention_days``: chunks go whole, so that one is still kept. 0
    when everything is kept. It only ever grows with ``now_ms``.
    """
    if retention_days is None:
        return 0
    chunk_ms = chunk_days * DAY_MS
    return max(now_ms - retention_days * DAY_MS, 0) // chunk_ms * chunk_ms


def refuse_older(
    from_ms: int, now_ms: int, retention_days: int | None, chunk_days: int, *, asked: str = "--from"
) -> None:
    """Refuse to fill from ``from_ms`` on what retention would drop again. Raises ``ConfigError``; pure.

    ``asked`` is what the person wrote it in (``--from``, ``BACKFILL_FROM``).
    """
    first = fill_from(now_ms, retention_days, chunk_days)
    if from_ms < first:
        raise ConfigError(
            f"{asked} {_day(from_ms)}: RETENTION_DAYS={retention_days} drops what is before {_day(first)}, so it"
            f" would be filled and dropped again and again; ask from {_day(first)} on, or raise RETENTION_DAYS"
        )


class Retention:
    """Enforces ``retention_days`` at start and every six hours; does nothing for ever when it is None.

    ``ready`` holds the first time back until the venue's time is known: the computer's date may be years ahead, and all
    would be dropped. Where ``asked_from(now_ms)``, the instant of BACKFILL_FROM, is before what is kept, it says so.
    """

    def __init__(
        self,
        expirer: Expirer,
        clock: Clock,
        metrics: Metrics,
        *,
        retention_days: int | None,
        chunk_days: int,
        interval: float = _INTERVAL,
        ready: asyncio.Event | None = None,
        asked_from: Callable[[int], int] | None = None,
    ) -> None:
        self._expirer = expirer
        self._clock = clock
        self._metrics = metrics
        self._days = retention_days
        self._chunk_days = chunk_days
        self._interval = interval
        self._ready = ready
        self._asked_from = asked_from

    async def run(self) -> None:
        """Until cancelled. Errors of the database end it, for its supervisor to start it again."""
        if self._ready:
            await self._ready.wait()
        self._say_what_is_cut()
        while True:
            if self._days is not None:
                await self.enforce()
            await self._clock.sleep(self._interval)

    async def enforce(self) -> None:
        """Once, now. Raises ``Retryable`` or ``Permanent``."""
        before_ms = fill_from(self._clock.now_ms(), self._days, self._chunk_days)
        for done in await self._expirer.expire(before_ms):
            self._metrics.chunks_expired.labels(done.dataset.value).inc(done.chunks)
            # Rows that were counted as expired and turned out to be stored make it negative; a counter cannot be.
            self._metrics.rows_expired.labels(done.dataset.value).inc(max(done.rows, 0))
            if done.chunks or done.lines:
                _log.info(
                    "expired",
                    msg=f"{done.dataset.value}: {done.chunks} chunks before {_day(before_ms)} dropped",
                    dataset=done.dataset.value,
                    before=_day(before_ms),
                    chunks=done.chunks,
                    days=done.lines,
                    rows=done.rows,
                )
        self._metrics.retention_last_run.set(self._clock.now())

    def _say_what_is_cut(self) -> None:
        now_ms = self._clock.now_ms()
        first = fill_from(now_ms, self._days, self._chunk_days)
        if self._asked_from and self._asked_from(now_ms) < first:
            _log.warning(
                "backfill_from_cut",
                msg=f"BACKFILL_FROM asks for more than RETENTION_DAYS={self._days} keeps: history is filled from"
                f" {_day(first)} on",
                first=_day(first),
            )


def _day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"
