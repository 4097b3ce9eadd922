"""One look at the whole process, for ``marketd status``: read from the metrics and health that exist anyway."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from ..ports import Clock
from ..telemetry.health import Health
from ..telemetry.samples import Samples
from .rate_limiter import Budget


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Who this process is. ``since`` is the computer's epoch seconds at start, ``runs`` what it collects."""

    run_id: str
    version: str
    since: float
    runs: tuple[str, ...] = ()
    pid: int = field(default_factory=os.getpid)


class StatusReport:
    """Makes the answer of ``/status``: plain JSON values, times as RFC 3339 text or ``None`` for never."""

    def __init__(
        self,
        registry: CollectorRegistry,
        health: Health,
        clock: Clock,
        info: RunInfo,
        budget: Callable[[], Budget] | None = None,
    ) -> None:
        self._registry, self._health, self._clock = registry, health, clock
        self._info, self._budget = info, budget

    def __call__(self) -> dict[str, Any]:
        now = self._clock.now()
        reasons = self._health.not_ready_reasons(now)
        samples = Samples(self._registry)
        return {
            **asdict(self._info),
            "since": _moment(self._info.since),
            "venue_time": _moment(now),
            "speed": self._clock.speed,
            "ready": not reasons,
            "not_ready_reasons": reasons,
            "data": self._data(now),
            "symbols": samples.plain("symbols_", "expected", "subscribed", "stale", "quiet"),
            "connections": {
                state: int(count) for state, count in samples.by_label("ws_connections", "state").items()
            },
            "buffer": samples.plain("buffer_", "rows", "capacity_rows"),
            "rows": {
                "received": samples.total("rows_received_total"),
                "committed": samples.total("rows_committed_total"),
                "deduped": samples.total("rows_deduped_total"),
                "rejected": samples.total("rows_rejected_total"),
                "dropped": samples.total("rows_dropped_total"),
            },
            "tasks": {
                outcome: int(count)
                for outcome, count in sorted(samples.by_label("tasks_total", "outcome").items())
                if count
            },
            "gap_minutes_open": int(samples.total("missing_candles")),
            "clock_offset_seconds": round(samples.total("exchange_clock_offset_seconds"), 3),
            "budget": self._spending(),
        }

    def _data(self, now: float) -> dict[str, Any]:
        health = self._health
        age = health.data_age(now)
        return {
            "newest_candle_close": _moment(health.newest_candle_close),
            "age_seconds": None if age == float("inf") else round(age, 1),
            "last_commit": _moment(health.last_commit),
            "database_writable": health.database_writable,
        }

    def _spending(self) -> dict[str, Any] | None:
        if self._budget is None:
            return None
        budget = asdict(self._budget())
        return {**budget, "ban_until": _moment(budget["ban_until"])}


def _moment(epoch: float) -> str | None:
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%dT%H:%M:%SZ}" if epoch else None
