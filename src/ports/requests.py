"""What people ask for: history to be filled, and rows to be taken over from another program's tables."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import date
from typing import Any, Protocol

from ..model import BackfillRequest


class BackfillRequests(Protocol):
    """What people asked to be filled, the oldest first; one that was begun and not finished comes again.

    ``tell`` says how far it is and returns whether it is still wanted. ``state`` is done, cancelled or failed.
    All raise ``Retryable`` or ``Misconfigured``.
    """

    async def take(self) -> BackfillRequest | None: ...

    async def tell(self, request: BackfillRequest, progress: Mapping[str, object]) -> bool: ...

    async def finish(
        self, request: BackfillRequest, state: str, detail: str, progress: Mapping[str, object]
    ) -> None: ...


ForeignRow = tuple[Any, ...]
"""A row of another program as it stands there: its time (UTC ms) first, then its values, and last whether it says that
its period was closed (None: it does not say)."""


class ForeignTable(Protocol):
    """Another program's table, which may only be read.

    ``symbols`` are those it holds, ``span`` the first and the last time of one (UTC ms), None without rows.
    ``rows`` gives the rows of [since_ms, until_ms) in order, a bounded number at a time. All raise ``Retryable`` or
    ``Misconfigured``.
    """

    async def symbols(self) -> list[str]: ...

    async def span(self, symbol: str) -> tuple[int, int] | None: ...

    def rows(self, symbol: str, since_ms: int, until_ms: int) -> AsyncGenerator[list[ForeignRow], None]: ...


class TakeoverNotes(Protocol):
    """Which months were taken over whole, by symbol and first day; ``note`` adds one. Both raise ``Retryable``."""

    async def done(self) -> set[tuple[str, date]]: ...

    async def note(
        self, symbol: str, month: date, *, rows_read: int, inserted: int, refused: int
    ) -> None: ...
