"""The listing intervals of every contract, living and delisted, in the table ``instruments``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date

from psycopg import AsyncConnection

from ...model import DAY_MS, MINUTE_MS, ContractStatus, Instrument, Listing, floor_minute
from .ledger.days import day_of, utc
from .queries import query
from .sessions.shared import Row, SharedSession, fetch

NEVER_MS = 4_133_404_800_000
"""2100-12-25, the venue's word for a contract without end; also ours for an interval that is open."""
_QUOTES = ("USDT", "USDC", "BUSD")
_ENDED = "CLOSE"


class InstrumentStore:
    """``ports.ArchivedListings``, in whole minutes, each end outwards.

    The venue makes a candle of the minute in which a listing begins or ends, so that minute is due too. All raise
    ``Unavailable`` or ``Misconfigured``.
    """

    def __init__(self, session: SharedSession) -> None:
        self._session = session

    async def record(self, instruments: Sequence[Instrument], present: Collection[str], now_ms: int) -> None:
        """Take over what the venue says of ``instruments``.

        A halt keeps its interval, an announced delivery ends it, another onboard time is another interval. Who is in
        the table and not ``present`` in the venue's list at all has ended. A listing still to come is recorded when it
        trades: dozens stay pending for years.
        """
        given = self._exchange() | _columns(instruments, now_ms)
        given |= {"present": sorted(present), "now": utc(_ceil_minute(now_ms))}

        async def work(connection: AsyncConnection) -> None:
            async with connection.transaction():
                await fetch(connection, query("instruments", "record"), given)
                await fetch(connection, query("instruments", "end_relisted"), given)
                await fetch(connection, query("instruments", "end_gone"), given)

        await self._session.call(work)

    async def record_archived(self, listings: Sequence[tuple[Listing, str]]) -> None:
        """Add intervals that only the archive's listing shows, each with its folder; a known folder is left alone."""
        parts = [_split(listing.symbol) for listing, _ in listings]
        given = self._exchange() | {
            "symbols": [listing.symbol for listing, _ in listings],
            "onboard": [utc(floor_minute(listing.onboard_ms)) for listing, _ in listings],
            "end": [utc(_ceil_minute(listing.end_ms)) for listing, _ in listings],
            "bases": [base for base, _ in parts],
            "quotes": [quote for _, quote in parts],
            "folders": [folder for _, folder in listings],
        }
        await self._session.rows(query("instruments", "record_archived"), given)

    async def listings(self) -> list[Listing]:
        """All intervals, by symbol and onboard time; ``end_ms`` is ``NEVER_MS`` while a contract trades."""
        given = self._exchange() | {"never": utc(NEVER_MS)}
        return [Listing(*row) for row in await self._session.rows(query("instruments", "listings"), given)]

    async def folders(self) -> set[str]:
        """The archive's folders that belong to a known interval."""
        rows = await self._session.rows(query("instruments", "folders"), self._exchange())
        return {str(row[0]) for row in rows}

    async def gone(self) -> list[tuple[Listing, str]]:
        """The intervals whose end is a guess (the contract vanished unannounced), each with its folder."""
        rows = await self._session.rows(query("instruments", "gone"), self._exchange())
        return [(Listing(*row[:3]), str(row[3])) for row in rows]

    async def end(self, listing: Listing, end_ms: int) -> None:
        """Set the end of an interval; it is no guess then."""
        await self._resize(listing, replace(listing, end_ms=end_ms))

    async def trim(self) -> int:
        """Cut intervals known only to the day to their first and last row, where the file of that day is imported.

        Returns how many were cut; repeating it changes nothing.
        """
        cut = 0
        for row in await self._session.rows(query("instruments", "whole_days"), self._exchange()):
            listing = Listing(*row)
            first_ms, last_ms = await self._edge_rows(listing)
            shorter = replace(
                listing,
                onboard_ms=listing.onboard_ms if first_ms is None else first_ms,
                end_ms=listing.end_ms if last_ms is None else last_ms + MINUTE_MS,
            )
            if shorter != listing and shorter.onboard_ms < shorter.end_ms:
                await self._resize(listing, shorter)
                cut += 1
        return cut

    async def _edge_rows(self, listing: Listing) -> Row:
        given = self._exchange() | {
            "symbol": listing.symbol,
            "onboard": utc(listing.onboard_ms),
            "first_end": utc(listing.onboard_ms + DAY_MS),
            "last_start": utc(listing.end_ms - DAY_MS),
            "end": utc(listing.end_ms),
            "first_files": _files_of(day_of(listing.onboard_ms)),
            "last_files": _files_of(day_of(listing.end_ms - 1)),
        }
        return (await self._session.rows(query("instruments", "edge_rows"), given))[0]

    async def _resize(self, listing: Listing, new: Listing) -> None:
        given = self._exchange() | {
            "symbol": listing.symbol,
            "onboard": utc(listing.onboard_ms),
            "new_onboard": utc(new.onboard_ms),
            "new_end": utc(new.end_ms),
            "status": _ENDED,
        }
        await self._session.rows(query("instruments", "resize"), given)

    def _exchange(self) -> dict[str, object]:
        return {"exchange": self._session.exchange}


def _columns(instruments: Sequence[Instrument], now_ms: int) -> dict[str, object]:
    trading = [item for item in instruments if item.status is not ContractStatus.PENDING_TRADING]
    return {
        "symbols": [item.symbol for item in trading],
        "onboard": [utc(floor_minute(item.onboard_ms)) for item in trading],
        "end": [None if (end := _end_ms(item, now_ms)) is None else utc(end) for item in trading],
        "contract_types": [item.contract_type for item in trading],
        "statuses": [item.status.value for item in trading],
        "bases": [item.base for item in trading],
        "quotes": [item.quote for item in trading],
        "delivery": [None if item.delivery_ms >= NEVER_MS else utc(item.delivery_ms) for item in trading],
        "tick_sizes": [item.tick_size for item in trading],
        "step_sizes": [item.step_size for item in trading],
    }


def _end_ms(item: Instrument, now_ms: int) -> int | None:
    """When the interval ends, ``None`` while that is not known; what still trades has not ended."""
    over = item.status is ContractStatus.TRADING and item.delivery_ms <= now_ms
    if over or item.delivery_ms >= NEVER_MS or item.delivery_ms <= item.onboard_ms:
        return None
    return _ceil_minute(item.delivery_ms)


def _ceil_minute(ms: int) -> int:
    return -(-ms // MINUTE_MS) * MINUTE_MS


def _split(symbol: str) -> tuple[str, str]:
    """Base and quote of a symbol known by its name only."""
    quote = next((quote for quote in _QUOTES if symbol.endswith(quote)), "")
    return symbol.removesuffix(quote), quote


def _files_of(day: date) -> list[date]:
    """The first days of the archive files that hold ``day``: the day's and the month's."""
    return [day, day.replace(day=1)]
