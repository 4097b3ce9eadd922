"""Drops what retention no longer keeps; the work is in ``sql/repeatable/expire.sql``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from psycopg import AsyncConnection

from ....model import Dataset, Expired
from ....telemetry.metrics import Metrics
from ..options import DatabaseOptions
from ..queries import query
from ..sessions.session import Session

_DEADLINE_S = 900.0
"""Wall seconds: the first time on a long history marks a line for every symbol and day."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Expiry:
    """``ports.Expirer``. A connection for each call, which comes a few times a day."""

    def __init__(self, options: DatabaseOptions, metrics: Metrics | None = None) -> None:
        self._options = replace(options, deadline_s=_DEADLINE_S)
        self._metrics = metrics

    async def expire(self, before_ms: int) -> list[Expired]:
        """See ``ports.Expirer``. Waits at most 3 s for a chunk that somebody uses, then raises ``Unavailable``."""
        session = await Session.connect(
            self._options, purpose="retention", writable=True, prepare_threshold=None, on_error=self._count
        )
        try:
            return await session.call(_expire(session.connection, before_ms))
        finally:
            session.drop()

    def _count(self, sqlstate_class: str) -> None:
        if self._metrics:
            self._metrics.database_errors.labels(sqlstate_class).inc()


async def _expire(connection: AsyncConnection, before_ms: int) -> list[Expired]:
    patience = {"statement_timeout": f"{_DEADLINE_S:.0f}s"}
    await connection.execute(query("retention", "patience"), patience)
    before = _EPOCH + timedelta(milliseconds=before_ms)
    cursor = await connection.execute(query("retention", "expire"), {"before": before})
    return [
        Expired(Dataset(dataset), int(chunks), int(lines), int(rows))
        for dataset, chunks, lines, rows in await cursor.fetchall()
    ]
