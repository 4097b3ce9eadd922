"""The conservation oracle: what the venue says must be stored, compared value for value with what is.

An obligation is every closed minute of every listing that the venue knows. The oracle asks the database and
the venue directly, never through a proxy that a test has made faulty, and is itself never faulted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import psycopg
from psycopg import sql

from src.model import MINUTE_MS, floor_minute

Key = tuple[str, int]
"""(symbol, open time in UTC milliseconds)."""
Values = tuple[float | int | None, ...]
"""The nine market values in the order of ``Candle.values``."""

SETTLE_S = 120.0
"""Wall seconds that a daemon has to make everything good after its fault has stopped."""
FRESH_S = 75.0
"""Wall seconds within which a candle closed after the settling must be stored."""
MINIMUM_ROWS = 1000
"""A run that moved fewer rows proves nothing."""

_ROWS = sql.SQL(
    "SELECT symbol, (extract(epoch FROM bucket_ts) * 1000)::bigint, open, high, low, close, volume,"
    " quote_volume, trade_count, taker_buy_volume, taker_buy_quote_volume, is_closed"
    " FROM {}.candles_1m WHERE bucket_ts > '2000-01-01'"
)


class Span(NamedTuple):
    """The minutes of one listing, UTC milliseconds: [first, end) exist; from ``owed_from`` on they are owed.

    A contract that is listed in the middle of a minute has a candle of it that nobody promises to store.
    """

    first: int
    end: int
    owed_from: int


Spans = Mapping[str, Sequence[Span]]
"""All listings of each symbol."""


class Truth(Protocol):
    """What the venue knows; see ``tests.support.venue``."""

    async def now_ms(self) -> int: ...

    async def listings(self) -> Spans: ...

    def values(self, symbol: str, open_ms: int) -> Values: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one comparison found. ``owed`` is the number of minutes that must be stored."""

    owed: int
    stored: int
    missing: tuple[Key, ...]
    spurious: tuple[Key, ...]
    mismatched: tuple[tuple[Key, Values, Values], ...]

    @property
    def good(self) -> bool:
        return not (self.missing or self.spurious or self.mismatched)

    def __str__(self) -> str:
        counts = (
            f"owed {self.owed}, stored {self.stored}, missing {len(self.missing)},"
            f" spurious {len(self.spurious)}, mismatched {len(self.mismatched)}"
        )
        samples = [
            f"{name}: {items[:5]}"
            for name, items in (
                ("missing", self.missing),
                ("spurious", self.spurious),
                ("mismatched", self.mismatched),
            )
            if items
        ]
        return "; ".join([counts, *samples])


class Oracle:
    """``since_ms`` may move the start of the obligations forward."""

    def __init__(self, truth: Truth, database_url: str, *, schema: str, since_ms: int = 0) -> None:
        self.truth = truth
        self.since_ms = since_ms
        self._url = database_url
        self._rows = _ROWS.format(sql.Identifier(schema))

    async def stored(self) -> dict[Key, Values]:
        """Every row of the candle table; a row that is not closed fails at once."""
        connection = await psycopg.AsyncConnection.connect(self._url)
        async with connection:
            rows = await (await connection.execute(self._rows)).fetchall()
        assert all(row[-1] is True for row in rows), "a row is stored as not closed"
        return {(row[0], int(row[1])): tuple(row[2:-1]) for row in rows}

    async def compare(self, until_ms: int) -> Verdict:
        """Compare everything stored with the truth; minutes that open from ``until_ms`` on are not owed yet."""
        stored = await self.stored()
        # Asked after the rows were read: what is stored can only be from before these answers.
        listings = await self.truth.listings()
        closed_before = floor_minute(await self.truth.now_ms())
        owed = {
            (symbol, open_ms)
            for symbol, spans in listings.items()
            for span in spans
            for open_ms in range(max(span.owed_from, self.since_ms), min(span.end, until_ms), MINUTE_MS)
        }
        spurious = [key for key in stored if not _exists(key, listings, closed_before)]
        pairs = [
            (key, self.truth.values(*key), values)
            for key, values in stored.items()
            if _exists(key, listings, closed_before)
        ]
        return Verdict(
            owed=len(owed),
            stored=len(stored),
            missing=tuple(sorted(owed - stored.keys())),
            spurious=tuple(sorted(spurious)),
            mismatched=tuple(pair for pair in pairs if pair[1] != pair[2]),
        )

    async def settle(
        self, *, within: float = SETTLE_S, fresh: float = FRESH_S, minimum_rows: int = MINIMUM_ROWS
    ) -> Verdict:
        """The final judgement, called when the fault has stopped.

        Waits until nothing owed at the call is missing, then requires that one more minute of every symbol
        that is still listed arrives. Raises ``AssertionError`` with samples of whatever is wrong.
        """
        await self._until(floor_minute(await self.truth.now_ms()), within, "after the fault")
        next_ms = floor_minute(await self.truth.now_ms()) + MINUTE_MS
        verdict = await self._until(next_ms, fresh, "in the fresh minute")
        assert verdict.stored >= minimum_rows, f"only {verdict.stored} rows moved, the run proves nothing"
        return verdict

    async def check_all(self) -> None:
        """Whatever is stored is true; for the time after the daemon has ended."""
        verdict = await self.compare(0)
        assert verdict.good, str(verdict)

    async def _until(self, until_ms: int, within: float, when: str) -> Verdict:
        deadline = time.monotonic() + within
        while True:
            over = await self.truth.now_ms() >= until_ms
            verdict = await self.compare(until_ms)
            assert not verdict.spurious, f"{when}: {verdict}"
            # A row that was asked for before it was final may differ until it was asked for again.
            if over and verdict.good:
                return verdict
            assert time.monotonic() < deadline, f"{when}, not settled within {within:.0f} s: {verdict}"
            await asyncio.sleep(0.5)


def _exists(key: Key, listings: Spans, closed_before: int) -> bool:
    """True if the venue has a closed candle for this key."""
    symbol, open_ms = key
    if open_ms % MINUTE_MS:
        return False
    return any(span.first <= open_ms < min(span.end, closed_before) for span in listings.get(symbol, ()))
