"""Which contracts there are and were."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from ..model import Instrument, Listing


class Listings(Protocol):
    """The listing intervals the database knows, living and delisted, symbols as ours.

    ``record`` takes what exchangeInfo says of the instruments we follow, and whom it lists at all (``present``):
    whoever is not there has ended. ``record_archived`` takes what only the archive's listing shows, each with the
    folder's own name. ``listings`` returns all of them, ordered by symbol and onboard time. All raise ``Retryable``
    or ``Misconfigured``.
    """

    async def record(
        self, instruments: Sequence[Instrument], present: Collection[str], now_ms: int
    ) -> None: ...

    async def record_archived(self, listings: Sequence[tuple[Listing, str]]) -> None: ...

    async def listings(self) -> list[Listing]: ...


class ArchivedListings(Listings, Protocol):
    """What the archive adds: which of its folders are known, and what is only known to the day or guessed.

    ``gone`` are the intervals of contracts that vanished unannounced, each with its folder; ``end`` sets their end.
    ``trim`` cuts intervals known to the day to their first and last stored row, and returns how many were cut.
    """

    async def folders(self) -> set[str]: ...

    async def gone(self) -> list[tuple[Listing, str]]: ...

    async def end(self, listing: Listing, end_ms: int) -> None: ...

    async def trim(self) -> int: ...
