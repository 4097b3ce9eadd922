"""The request budgets of one address in ``rate_limit_state``: leases under the row's lock, bans by NOTIFY."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from psycopg import AsyncConnection

from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ..rate_limiter.book import LeaseAsk, LeaseGrant
from ..rate_limiter.shares import SlotUse, share, spent_but_a_tenth
from .options import DatabaseOptions
from .queries import query
from .sessions.session import Session

_DEADLINE_S = 10.0
_LISTEN_S = 20.0
"""Wall seconds after which bans are read again even if nothing was announced; below the listener's deadline."""
_LONGEST_BAN_S = 3 * 86_400.0
_BAN_INSTEAD_S = 120.0
"""For a ban longer than the venue knows any: its shortest one."""
_MOST = 10**9
"""No budget is as large as this."""

log = get_logger("rate_limits")


def egress_of(proxy: str | None) -> str:
    """The name of the address that requests leave from: ``direct``, or the proxy's host:port without its account."""
    if not proxy:
        return "direct"
    parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"{host}:{parts.port}" if parts.port else host


class RateLimitBook:
    """``LeaseBook``. Two sessions, one that leases and one that listens; either is made anew when lost."""

    def __init__(self, options: DatabaseOptions, egress: str, metrics: Metrics | None = None) -> None:
        self._options = replace(options, deadline_s=_DEADLINE_S)
        self._listen_options = replace(options, deadline_s=_LISTEN_S + _DEADLINE_S)
        self._egress, self._metrics = egress, metrics
        self._session: Session | None = None
        self._turn = asyncio.Lock()
        self._told: set[str] = set()

    async def lease(self, ask: LeaseAsk) -> LeaseGrant:
        """See ``LeaseBook``. Waits for the row at most as long as any statement of ours."""
        async with self._turn:
            session = await self._open()
            return await session.call(self._lease(session.connection, ask))

    async def ban(self, budgets: Sequence[str], seconds: float) -> None:
        """See ``LeaseBook``."""
        async with self._turn:
            session = await self._open()
            await session.call(self._ban(session.connection, budgets, seconds))

    async def watch(self, on_ban: Callable[[str, float], None]) -> None:
        """See ``LeaseBook``."""
        # A server that follows another one refuses LISTEN.
        session = await Session.connect(
            self._listen_options, purpose="bans", writable=True, on_error=self._count
        )
        try:
            await session.call(_listen(session.connection))
            while True:
                for budget, seconds in await session.call(self._bans(session.connection)):
                    on_ban(budget, seconds)
                await session.call(_next_notice(session.connection))
        finally:
            session.drop()

    async def close(self) -> None:
        """End the session that leases. Never waits for the server."""
        if self._session is not None:
            self._session.drop()
            self._session = None

    async def _open(self) -> Session:
        if self._session is None or not self._session.alive:
            self._session = await Session.connect(
                self._options, purpose="limiter", writable=True, on_error=self._count
            )
        return self._session

    async def _lease(self, connection: AsyncConnection, ask: LeaseAsk) -> LeaseGrant:
        key = {"egress": self._egress, "budget": ask.budget}
        async with connection.transaction():
            cursor = await connection.execute(query("rate_limits", "lock_budget"), key)
            row = await cursor.fetchone()
            if row is None:
                await connection.execute(query("rate_limits", "open_budget"), key)
                cursor = await connection.execute(query("rate_limits", "lock_budget"), key)
                row = await cursor.fetchone()
            slots, leased, strangers, ban_s = row or ((), (), (), 0.0)
            uses, granted, total = share(self._uses(ask, slots, leased, strangers), ask)
            columns = {
                "slots": [use.slot for use in uses],
                "leased": [use.leased for use in uses],
                "strangers": [use.strangers for use in uses],
            }
            await connection.execute(query("rate_limits", "save_budget"), {**key, **columns})
            ban_s = await self._believable(connection, ask.budget, float(ban_s))
        return LeaseGrant(granted, total, ban_s)

    async def _bans(self, connection: AsyncConnection) -> list[tuple[str, float]]:
        cursor = await connection.execute(query("rate_limits", "bans"), {"egress": self._egress})
        found = await cursor.fetchall()
        return [
            (budget, await self._believable(connection, budget, float(seconds))) for budget, seconds in found
        ]

    async def _ban(self, connection: AsyncConnection, budgets: Sequence[str], seconds: float) -> None:
        values = {
            "egress": self._egress,
            "budgets": list(budgets),
            "seconds": min(max(seconds, 0.0), _LONGEST_BAN_S),
            "longest": _LONGEST_BAN_S,
        }
        async with connection.transaction():
            await connection.execute(query("rate_limits", "ban"), values)
            await connection.execute(query("rate_limits", "announce"), values)

    def _uses(
        self, ask: LeaseAsk, slots: Sequence[object], leased: Sequence[object], strangers: Sequence[object]
    ) -> list[SlotUse]:
        """What the row says, or the safe side if that cannot be true."""
        try:
            return _slot_uses(slots, leased, strangers)
        except (TypeError, ValueError) as error:
            self._tell_corrupt(ask.budget, str(error))
            return spent_but_a_tenth(ask)

    async def _believable(self, connection: AsyncConnection, budget: str, seconds: float) -> float:
        """A ban's wall seconds. One that is longer than the venue knows any gives way to a short one in the table
        too: read again and again it would never end.
        """
        if 0 <= seconds <= _LONGEST_BAN_S:
            return seconds
        self._tell_corrupt(budget, f"a ban of {seconds:.0f} s")
        await self._ban(connection, [budget], _BAN_INSTEAD_S)
        return _BAN_INSTEAD_S

    def _tell_corrupt(self, budget: str, what: str) -> None:
        if self._metrics:
            self._metrics.rate_limit_leases.labels(budget, "corrupt").inc()
        if budget not in self._told:
            self._told.add(budget)
            log.error(
                "rate_limit_state_corrupt",
                msg=f"rate_limit_state holds nonsense ({what}); a tenth of the budget for one window",
                budget=budget,
            )

    def _count(self, sqlstate_class: str) -> None:
        if self._metrics:
            self._metrics.database_errors.labels(sqlstate_class).inc()


def _slot_uses(*columns: Sequence[object]) -> list[SlotUse]:
    """The three arrays of a row; ``ValueError`` or ``TypeError`` if they cannot be true."""
    uses = [
        SlotUse(_whole(slot, 2**62), _whole(leased), _whole(strangers))
        for slot, leased, strangers in zip(*columns, strict=True)
    ]
    if len({use.slot for use in uses}) < len(uses):
        raise ValueError("a slot stands twice")
    return uses


def _whole(value: object, most: int = _MOST) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{value!r:.40} is no count")
    return value


async def _listen(connection: AsyncConnection) -> None:
    await connection.execute(query("rate_limits", "listen"))


async def _next_notice(connection: AsyncConnection) -> None:
    async for _ in connection.notifies(timeout=_LISTEN_S, stop_after=1):
        pass
