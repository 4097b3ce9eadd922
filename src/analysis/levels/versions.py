"""What becomes of levels from one run to the next, as rows that begin and end; for kernel processes only.

A row says that a level was known, just so, from one close until another. Rows are added and ended, never rewritten, so
what was known at any time is those that hold then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from .known import history
from .pivots import Records
from .terms import WINDOWS, Level, Side

Name: TypeAlias = tuple[Side, int]
"""Side and founder's time: which level it is."""


@dataclass(slots=True)
class Row:
    """``level`` as known from ``known_from`` to ``known_to`` (UTC milliseconds; None: still).

    ``row_id`` is that of the table, None for a row that is not stored yet. ``state`` is formed, tested or broken while
    it holds, then why it ended: changed, expired, merged, withdrawn or unwatched.
    """

    level: Level
    known_from: int
    row_id: int | None = None
    known_to: int | None = None
    state: str = ""

    def __post_init__(self) -> None:
        self.state = self.state or self.level.state

    def end(self, at_ms: int, state: str) -> None:
        self.known_to, self.state = at_ms, state

    @property
    def said_nothing(self) -> bool:
        """It ends when it began: what it said was corrected before anything else became known."""
        return self.known_to is not None and self.known_to <= self.known_from


@dataclass(slots=True)
class Rows:
    """The rows of one series that hold, by level, and those that were ended."""

    holding: dict[Name, Row] = field(default_factory=dict)
    ended: list[Row] = field(default_factory=list)

    def end(self, name: Name, at_ms: int, state: str) -> None:
        row = self.holding.pop(name)
        row.end(at_ms, state)
        self.ended.append(row)

    def end_all(self, at_ms: int, state: str) -> None:
        for name in list(self.holding):
            self.end(name, at_ms, state)


def follow(rows: Rows, bars: Records, span_ms: int, first: int) -> list[Level]:
    """Bring ``rows`` from what held before bar ``first`` to the last of ``bars``, bar by bar; the levels known then."""
    known: list[Level] = []
    for bar, known in history(bars, span_ms, first):
        at_ms = int(bars["close_ts"][bar])
        now = {(level.side, level.founded_ms): level for level in known}
        for name, row in list(rows.holding.items()):
            if name not in now:
                rows.end(name, at_ms, _why_ended(row.level, bars, span_ms, bar, now))
            elif row.level != now[name]:
                rows.end(name, at_ms, "changed")
        for name, level in now.items():
            rows.holding.setdefault(name, Row(level, at_ms))
    return known


def _why_ended(level: Level, bars: Records, span_ms: int, bar: int, now: Mapping[Name, Level]) -> str:
    for other in now.values():
        if other.side is level.side and any(touch.pivot_ms == level.founded_ms for touch in other.touches):
            return "merged"
    place = int(np.searchsorted(bars["open_ts"], level.founded_ms)) - WINDOWS[0]
    forgotten = int(bars["close_ts"][bar]) - span_ms
    return "expired" if place < 0 or bars["open_ts"][place] < forgotten else "withdrawn"
