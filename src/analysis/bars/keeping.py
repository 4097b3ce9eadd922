"""The bars that are kept of every symbol: made at each close, and again where candles changed behind them.

Runs in a kernel process (docs/adr/0043-kept-bars.md). Every piece of work is one transaction, under a lock that the
exchange's bars have, so a run that is killed or done twice leaves what one run leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from ...model import DAY_MS, MINUTE_MS
from ...ports.tables import Note, Tables
from .advance import advance
from .dtypes import CANDLE, Recipe, new_state
from .making import PLACED, Work, kept_bars

#: A minute without a candle holds up the bars behind it for so long. The queries that write ``candle_changes`` take
#: every row of half this age for late.
HOLE_MS = 60 * MINUTE_MS
#: A front that is further behind goes on from now, and what lies between is made as history is.
_BEHIND_MS = 2 * DAY_MS
#: Minutes that are read for one transaction: forty symbols' days, with their bars about 20 MB.
_AT_ONCE = 57_600
_DAYS_AT_ONCE = _AT_ONCE // 1440
_TIMES = ("open_ts", "close_ts")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Front:
    """Up to when the bars of one symbol are made, and over which listings; None where none ever were."""

    symbol: str
    newest_day: date
    made_to: int | None
    cuts: tuple[int, ...]


def keep(
    *, tables: Tables, note: Note, exchange: str, days: int, symbol: str | None = None
) -> Mapping[str, Any]:
    """Make every bar that is over, then up to ``days`` days of symbols whose candles changed, the newest first.

    Of ``symbol`` alone, where it is given.
    """
    _compile()
    keeper = _Keeper(tables, note, exchange, symbol)
    fronts = keeper.fronts()
    until = keeper.until(fronts) if fronts else 0
    fronts = [front for front in fronts if symbol in (None, front.symbol)]
    bars, closed = 0, dict[str, int]()
    if fronts:
        fronts = keeper.begun(fronts, until)
        bars, closed = keeper.go_on(fronts, until)
    again, made, left = keeper.make_again(days)
    return {
        "exchange": exchange,
        "symbols": len(fronts),
        "from_ms": min((front.made_to or until for front in fronts), default=until),
        "closed_ms": until,
        "closed_all_ms": min(closed.values(), default=until),
        "bars": bars + again,
        "days": made,
        "days_left": left,
    }


class _Keeper:
    def __init__(self, tables: Tables, note: Note, exchange: str, symbol: str | None) -> None:
        self._tables, self._note, self._exchange, self._symbol = tables, note, exchange, symbol
        self._cuts: dict[str, tuple[int, ...]] = {}

    def fronts(self) -> list[Front]:
        """Of every symbol that has candles."""
        self._cuts = {symbol: tuple(cuts) for symbol, cuts in self.rows("bars.cuts")}
        return [
            Front(symbol, day, made_to, tuple(cuts))
            for symbol, day, made_to, cuts in self.rows("bars.subjects")
        ]

    def until(self, fronts: Sequence[Front]) -> int:
        """The end of the newest candle of all: what is missing an hour before it is waited for no longer."""
        last = max(front.newest_day for front in fronts)
        until: int | None = self.rows(
            "bars.newest",
            symbols=[front.symbol for front in fronts if front.newest_day == last],
            since=_midnight(last),
            until=_midnight(last) + timedelta(days=1),
        )[0][0]
        # None: they were deleted by hand, and the ledger has not counted anew yet.
        return max(front.made_to or 0 for front in fronts) if until is None else until

    def begun(self, fronts: Sequence[Front], until: int) -> list[Front]:
        """The same with a front for each symbol, none far behind; the days between are written down as changed."""
        start = until - HOLE_MS
        behind = [front for front in fronts if front.made_to is None or front.made_to < until - _BEHIND_MS]
        if not behind:
            return list(fronts)
        with self._tables.transaction():
            self.rows("bars.claim")
            queued = self.rows(
                "bars.begin",
                symbols=[front.symbol for front in behind],
                since=[
                    date(1970, 1, 1) if front.made_to is None else _time(front.made_to).date()
                    for front in behind
                ],
                made_to=_time(start),
            )[0][0]
            for front in behind:
                if front.made_to is None:
                    self._note_cuts(front.symbol)
        self._note(f"{len(behind)} symbols begin: {queued} of their days are to be made")
        return [front for front in self.fronts() if self._symbol in (None, front.symbol)]

    def go_on(self, fronts: Sequence[Front], until: int) -> tuple[int, dict[str, int]]:
        """Bars that are over since the last run, and those around listings that became known; and up to when."""
        closed = self._watermarks(fronts, until)
        works = [
            Work(front.symbol, self._new_ranges(front, closed[front.symbol]), closed[front.symbol], cuts)
            for front in fronts
            for cuts in (self._cuts.get(front.symbol, ()),)
        ]
        moved = {front.symbol for front in fronts if self._cuts.get(front.symbol, ()) != front.cuts}
        bars = 0
        for group in _groups(works):
            with self._tables.transaction():
                self.rows("bars.claim")
                bars += self._make(group)
                self.rows(
                    "bars.move_fronts",
                    symbols=[work.symbol for work in group],
                    closed=[_time(work.until_ms) for work in group],
                )
                for work in group:
                    if work.symbol in moved:
                        self._note_cuts(work.symbol)
        self._note(f"{bars} bars of {len(fronts)} symbols, up to {_time(until):%Y-%m-%d %H:%M}")
        return bars, closed

    def make_again(self, most: int) -> tuple[int, int, int]:
        """Bars and days made of what changed, ``most`` days at most, and how many days are left."""
        left: int = self.rows("bars.changes_left", symbol=self._symbol)[0][0]
        bars = days = 0
        while days < most:
            with self._tables.transaction():
                self.rows("bars.claim")
                found = self.rows("bars.changes", symbol=self._symbol, limit=min(_DAYS_AT_ONCE, most - days))
                if not found:
                    break
                bars += self._make([work for row in found for work in self._changed(*row)])
                keys = [(day, symbol, one) for day, symbol, ids, *_ in found for one in ids]
                self.rows(
                    "bars.drop_changes",
                    days=[key[0] for key in keys],
                    symbols=[key[1] for key in keys],
                    ids=[key[2] for key in keys],
                )
            days += len(found)
            self._note(
                f"made again: {days} of {max(left, days)} days of symbols, down to {min(row[0] for row in found)}",
                days / max(left, days, 1),
            )
        return bars, days, max(left - days, 0)

    def _changed(
        self,
        day: date,
        symbol: str,
        ids: list[int],
        starts: list[int],
        ends: list[int],
        made_to: int,
        dropped: bool,
    ) -> Iterator[Work]:
        """What changed on one day before the front; bars of days whose candles retention dropped stay as they are."""
        ranges = tuple(
            (start, min(end, made_to)) for start, end in zip(starts, ends, strict=True) if start < made_to
        )
        if ranges and not dropped:
            yield Work(symbol, ranges, made_to, self._cuts.get(symbol, ()))

    def _watermarks(self, fronts: Sequence[Front], until: int) -> dict[str, int]:
        since = [max(front.made_to or 0, until - HOLE_MS) for front in fronts]
        found = self.rows(
            "bars.watermarks",
            symbols=[front.symbol for front in fronts],
            since=[_time(start) for start in since],
            earliest=_time(min(since)),
            until=_time(until),
        )
        return dict(found)

    def _new_ranges(self, front: Front, closed: int) -> tuple[tuple[int, int], ...]:
        """What was not made yet, and the minutes at which a listing came or went."""
        made_to = closed if front.made_to is None else front.made_to
        changed = set(front.cuts) ^ set(self._cuts.get(front.symbol, ()))
        return ((made_to, closed), *((cut - MINUTE_MS, cut + MINUTE_MS) for cut in sorted(changed)))

    def _make(self, works: Sequence[Work]) -> int:
        """Read, make and store; how many bars."""
        reads = [(place, *span) for place, work in enumerate(works) for span in work.minutes()]
        if not reads:
            return 0
        spans = [(work.symbol, *span) for work in works for span in work.spans()]
        symbols = [work.symbol for work in works]
        bounds = {
            "earliest": _time(min(start for _, start, _ in reads)),
            "latest": _time(max(end for *_, end in reads)),
        }
        candles = self._tables.read(
            "bars.candles",
            PLACED,
            times=("open_ts",),
            exchange=self._exchange,
            places=[place for place, _, _ in reads],
            symbols=[symbols[place] for place, _, _ in reads],
            **{"from": [_time(start) for _, start, _ in reads], "to": [_time(end) for *_, end in reads]},
            **bounds,
        )
        made = kept_bars(works, candles)
        self.rows(
            "bars.clear_kept",
            symbols=[span[0] for span in spans],
            sizes=[float(span[1]) for span in spans],
            **{"from": [_time(span[2]) for span in spans], "to": [_time(span[3]) for span in spans]},
            **bounds,
        )
        self._tables.write(
            "bars.store", made, times=_TIMES, exchange=self._exchange, kind="time", symbols=symbols
        )
        return len(made)

    def _note_cuts(self, symbol: str) -> None:
        cuts = [_time(cut) for cut in self._cuts.get(symbol, ())]
        self.rows("bars.note_cuts", symbol=symbol, cuts=cuts)

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Of a query that is about this exchange."""
        return self._tables.rows(query, exchange=self._exchange, **values)


def _groups(works: Iterable[Work]) -> Iterator[list[Work]]:
    """Works that are read together, each group within ``_AT_ONCE`` minutes unless a single one is larger."""
    group: list[Work] = []
    minutes = 0
    for work in works:
        more = sum(end - start for start, end in work.minutes()) // MINUTE_MS
        if group and minutes + more > _AT_ONCE:
            yield group
            group, minutes = [], 0
        group.append(work)
        minutes += more
    if group:
        yield group


def _compile() -> None:
    """Have numba do it before anything is locked."""
    candle = np.ones(1, CANDLE)
    candle["open_ts"] = 0
    advance(new_state(Recipe.TIME_OF_CANDLES, 300_000), candle, until_ms=300_000)


def _time(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
