"""A piece of a long series: which rows are meant, and reading them with a narrow range of time each.

Every chunk of a hypertable that a range touches costs planning and a lock, so nothing is read "up to now": a piece is
looked for in a range as long as its rows need when none is missing. Only where rows are missing the next range follows,
eight times as long, so that a hole of years costs a handful of queries.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, cast

from fastapi import Depends, Query

from .instants import MOST_MS, Instant, check_order, utc

_WIDER = 8
_CURSOR = re.compile(r"(older|newer)-(-?[0-9]{1,15})-([0-9]{1,19})")
BIGGEST_ID = 2**63 - 1

START = "From when on, included; UTC ms or RFC 3339. The oldest rows from there on are answered."
END = "Until when, excluded. Without `start` the newest rows before it are answered."
CURSOR = "`next` of the piece before; `start` and `end` stay what they were."


class Row(NamedTuple):
    """Where a row stands: UTC ms, and what tells apart rows of one moment."""

    ms: int
    row_id: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """[start_ms, end_ms) in UTC ms, and the row behind which (``forward``) or before which the piece before ended."""

    start_ms: int | None
    end_ms: int | None
    forward: bool
    after: Row | None

    @property
    def upto_ms(self) -> int | None:
        """Where the range ends that was asked for, None: where the series does."""
        behind = None if self.forward or self.after is None else self.after.ms + 1
        ends = [ms for ms in (self.end_ms, behind) if ms is not None]
        return min(ends, default=None)

    def bounds(self, first_ms: int, end_ms: int, *, tied: bool = False) -> tuple[int, int]:
        """The range to look in, where there can be rows in [first_ms, end_ms) only.

        The row of the cursor is outside; where rows can be ``tied``, those of its moment are not.
        """
        low = first_ms if self.start_ms is None else max(first_ms, self.start_ms)
        high = end_ms if self.end_ms is None else min(end_ms, self.end_ms)
        if self.after is not None and self.forward:
            low = max(low, self.after.ms + (not tied))
        elif self.after is not None:
            high = min(high, self.after.ms + tied)
        return low, high


async def asked(
    start: Annotated[Instant | None, Query(description=START)] = None,
    end: Annotated[Instant | None, Query(description=END)] = None,
    cursor: Annotated[
        str | None, Query(description=CURSOR, pattern=f"^{_CURSOR.pattern}$", max_length=48)
    ] = None,
) -> Asked:
    """The parameters of every route that answers in pieces. Raises ``ProblemError`` 422 for an end before the start."""
    check_order(start, end)
    if cursor is None:
        return Asked(start, end, start is not None, None)
    word, ms, row_id = cast(re.Match[str], _CURSOR.fullmatch(cursor)).groups()
    return Asked(start, end, word == "newer", Row(int(ms), min(int(row_id), BIGGEST_ID)))


Range = Annotated[Asked, Depends(asked)]
"""Type of a route's parameter."""


class Found(NamedTuple):
    """Rows of one query, from the oldest to the newest; ``text`` are JSON objects with a comma between."""

    rows: int
    first: Row
    last: Row
    text: str


Look = Callable[[int, int, int], Awaitable[Found | None]]
"""(from_ms, to_ms, limit) to what is there; None for nothing."""

Read = Callable[[Mapping[str, Any]], Awaitable[list[tuple[Any, ...]]]]
"""Parameters to the one row of a query: how many, first and last time, (first and last id,) text."""


def looking(
    read: Read, fixed: Mapping[str, Any], more: Callable[[int, int], Mapping[str, Any]] | None = None
) -> Look:
    """``read`` with ``fixed`` parameters, and each range as ``from`` and ``to``; ``more`` makes others of it."""

    async def look(from_ms: int, to_ms: int, limit: int) -> Found | None:
        span = {"from": utc(from_ms), "to": utc(to_ms), "limit": limit}
        ((count, first_ms, last_ms, *ids, text),) = await read(
            {**fixed, **span, **(more(from_ms, to_ms) if more else {})}
        )
        if not count:
            return None
        first_id, last_id = ids or (0, 0)
        return Found(count, Row(first_ms, first_id), Row(last_ms, last_id), text)

    return look


class Piece(NamedTuple):
    """What is answered: JSON objects with a comma between, and the cursor of the piece that follows.

    Nothing that is stored at ``upto_ms`` or later can change it; None: what comes can.
    """

    text: str
    rows: int
    next: str | None
    upto_ms: int | None


async def sweep(
    look: Look, wanted: Asked, bounds: tuple[int, int], limit: int, width_ms: int, *, glue: str = ","
) -> Piece:
    """At most ``limit`` rows of what is wanted inside ``bounds``, the first range ``width_ms`` long."""
    low, high = bounds
    found: list[Found] = []
    left = limit
    while left > 0 and low < high:
        if wanted.forward:
            span = (low, min(low + width_ms, high))
            low = span[1]
        else:
            span = (max(high - width_ms, low), high)
            high = span[0]
        if (some := await look(*span, left)) is not None:
            found.append(some)
            left -= some.rows
        width_ms = min(width_ms * _WIDER, MOST_MS)
    if not wanted.forward:
        found.reverse()
    text = glue.join(some.text for some in found)
    follows = None
    if left <= 0:
        edge = found[-1].last if wanted.forward else found[0].first
        follows = f"{'newer' if wanted.forward else 'older'}-{edge.ms}-{edge.row_id}"
        if wanted.forward:
            return Piece(text, limit - left, follows, edge.ms + 1)
    return Piece(text, limit - left, follows, wanted.upto_ms)
