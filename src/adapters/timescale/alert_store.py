"""Alerts and their events in the database."""

from __future__ import annotations

from datetime import timedelta
from typing import LiteralString

from psycopg_pool import AsyncConnectionPool

from ...model import floor_minute
from ...model.alerts import Delivery, Looked, NewAlert
from .errors import CLIENT_ERRORS, translate
from .ledger.days import utc
from .queries import query
from .rows import printable
from .task_store import Rows, fetch

MOST_ALERTS = 1_000
"""All are looked at together, each minute."""
_ERROR_LIMIT = 500
_DAY = timedelta(days=1)


class AlertStore:
    """``ports.alerts.AlertBook`` and ``AlertEvents`` on a pool, with what they raise."""

    def __init__(self, pool: AsyncConnectionPool, *, exchange: str) -> None:
        self._pool, self._exchange = pool, exchange

    async def add(self, alert: NewAlert, *, now_ms: int) -> int | None:
        rows = await self._rows(
            query("alerts", "add"),
            exchange=self._exchange,
            symbol=alert.symbol,
            price=alert.price,
            direction=alert.direction,
            note=printable(alert.note, 500),
            target=alert.target,
            level_id=alert.level_id,
            made_by=printable(alert.made_by, 200),
            minute_ms=floor_minute(now_ms),
            most=MOST_ALERTS,
        )
        return int(rows[0][0]) if rows else None

    async def switch(self, alert_id: int, *, enabled: bool, now_ms: int) -> bool:
        return bool(
            await self._rows(
                query("alerts", "change"), alert_id=alert_id, enabled=enabled, minute_ms=floor_minute(now_ms)
            )
        )

    async def remove(self, alert_id: int) -> bool:
        return bool(await self._rows(query("alerts", "remove"), alert_id=alert_id))

    async def look(self, until_ms: int) -> Looked:
        until = utc(until_ms)
        [(oldest,)] = await self._rows(query("alerts", "oldest"), until=until)
        if oldest is None:
            return Looked(0, 0, 0)
        [row] = await self._rows(
            query("alerts", "evaluate"), oldest=oldest, day_before=oldest - _DAY, until=until
        )
        return Looked(*row)

    async def take(self, *, limit: int, lease_s: float) -> list[Delivery]:
        rows = await self._rows(query("alerts", "take"), limit=limit, lease_s=lease_s)
        return [Delivery(*row) for row in rows]

    async def settle(self, delivery: Delivery, state: str, *, error: str = "", again_s: float = 0.0) -> None:
        await self._rows(
            query("alerts", "settle"),
            event_id=delivery.event_id,
            attempt=delivery.attempt,
            delivery=state,
            error=printable(error, _ERROR_LIMIT),
            again_s=again_s,
        )

    async def _rows(self, statement: LiteralString, **parameters: object) -> Rows:
        try:
            async with self._pool.connection() as connection:
                return await fetch(connection, statement, parameters)
        except CLIENT_ERRORS as error:
            raise translate(error) from error
