"""What people asked to be filled: written by ``marketd backfill``, worked through by the daemon, followed by both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from psycopg.types.json import Jsonb

from ....model import BackfillRequest
from ..ledger.days import utc
from ..queries import query
from ..rows import printable
from ..sessions.shared import SharedSession


@dataclass(frozen=True, slots=True)
class RequestView:
    """How far a request is. ``state`` is waiting, running, done, cancelled or failed."""

    state: str
    progress: Mapping[str, Any]
    detail: str

    @property
    def over(self) -> bool:
        return self.state in ("done", "cancelled", "failed")


class BackfillRequestStore:
    """``ports.BackfillRequests``, and the side of whoever asks. All raise ``Unavailable`` or ``Misconfigured``."""

    def __init__(self, session: SharedSession) -> None:
        self._session = session

    async def take(self) -> BackfillRequest | None:
        """The oldest one that is not finished; only whoever holds the role's lock may ask."""
        rows = await self._session.rows(query("backfill_requests", "take"), self._exchange())
        for number, symbols, since_ms, until_ms, source, force, keep in rows:
            return BackfillRequest(number, tuple(symbols), since_ms, until_ms, source, force, keep)
        return None

    async def tell(self, request: BackfillRequest, progress: Mapping[str, object]) -> bool:
        """Say how far it is; whether it is still wanted."""
        given = self._exchange() | {"id": request.id, "progress": Jsonb(dict(progress))}
        rows = await self._session.rows(query("backfill_requests", "tell"), given)
        return not any(cancel for (cancel,) in rows)

    async def finish(
        self, request: BackfillRequest, state: str, detail: str, progress: Mapping[str, object]
    ) -> None:
        """Say how it ended."""
        given = self._exchange() | {
            "id": request.id,
            "state": state,
            "detail": printable(detail, 1000),
            "progress": Jsonb(dict(progress)),
        }
        await self._session.rows(query("backfill_requests", "finish"), given)

    async def ask(self, request: BackfillRequest, *, by: str) -> BackfillRequest:
        """Put a request into the queue; returns it with its number."""
        given = self._asked(request) | {"requested_by": printable(by, 200)}
        [(number,)] = await self._session.rows(query("backfill_requests", "ask"), given)
        return replace(request, id=number)

    async def same(self, request: BackfillRequest) -> BackfillRequest | None:
        """The one that asks for just this and is not over."""
        for (number,) in await self._session.rows(query("backfill_requests", "same"), self._asked(request)):
            return replace(request, id=number)
        return None

    async def open(self) -> int:
        """How many are not over."""
        [(count,)] = await self._session.rows(query("backfill_requests", "open"), self._exchange())
        return int(count)

    async def cancel(self, request: BackfillRequest) -> None:
        """Ask for it to be ended; one that nobody has begun is ended by this."""
        given = self._exchange() | {"id": request.id}
        await self._session.rows(query("backfill_requests", "cancel"), given)

    async def look(self, request: BackfillRequest) -> RequestView:
        """How far it is."""
        given = self._exchange() | {"id": request.id}
        rows = await self._session.rows(query("backfill_requests", "look"), given)
        for state, progress, detail in rows:
            return RequestView(state, progress, detail)
        return RequestView("cancelled", {}, "nobody knows of it any more")

    def _asked(self, request: BackfillRequest) -> dict[str, object]:
        return self._exchange() | {
            "symbols": list(request.symbols),
            "since": utc(request.since_ms),
            "until": utc(request.until_ms),
            "source": request.source,
            "force": request.force,
            "keep": request.keep,
        }

    def _exchange(self) -> dict[str, object]:
        return {"exchange": self._session.exchange}
