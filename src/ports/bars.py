"""Bars that are not ours: of markets that are not collected."""

from __future__ import annotations

from typing import Protocol

from ..model.bars import VenueBar


class BarSource(Protocol):
    """A venue's own bars of one market. ``period`` is its word: 5m, 1h.

    ``closed_ms`` is the end of the newest period of ``period_ms`` that is over, on the venue's clock. ``bars`` are the
    closed ones of [from_ms, to_ms), in order, fewer where the venue has fewer; asked with the lowest priority. Raises
    ``UnknownSymbol``, other ``Permanent`` or ``Retryable``.
    """

    async def closed_ms(self, period_ms: int) -> int: ...

    async def bars(
        self, symbol: str, period: str, period_ms: int, from_ms: int, to_ms: int
    ) -> list[VenueBar]: ...
