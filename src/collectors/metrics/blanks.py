"""Days of metrics that have all their rows and not all their values, which only the archive can still bring."""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import UTC, date, datetime, timedelta

from ...model import DAY_MS, FIVE_MINUTES_MS, CoverageDay, Dataset, FileState
from ...ports import ArchiveNotes
from ...ports.metrics import MetricBlanks
from .plan import MOST_ROWS

_DAYS_A_LOOK = 28
_DAYS_AT_ONCE = 7
"""Of one statement, which reads a chunk or two: others wait for the session meanwhile."""
_ASK_AGAIN_MS = 7 * DAY_MS
"""A file that was not there is asked for again after a week."""
_PUT_OFF_MS = DAY_MS
"""A day whose file could not be read, or that lacks rows too, is searched again after a day."""
_ROWS = DAY_MS // FIVE_MINUTES_MS


class BlankDays:
    """The ledger counts rows, so a day is complete to it whose columns are partly NULL: a series failed for longer than
    REST reaches back.

    Such days are searched for when no request can reach them any more, four weeks in one look, the newest first, and
    each once in the life of the process; only one whose file was not there, or could not be read, is searched again:
    it must not keep the search from the days before. A day whose file was read or refused is done with: blank cells of
    the archive stay NULL.
    """

    def __init__(self, blanks: MetricBlanks, names: ArchiveNotes) -> None:
        self._blanks = blanks
        self._names = names
        self._next_ms: dict[date, float] = {}
        self._put_off: dict[tuple[str, date], int] = {}

    def put_off(self, day: CoverageDay, now_ms: int) -> None:
        """Nobody knows what the day's file says: it could not be read."""
        self._put_off[day.symbol, day.day] = now_ms + _PUT_OFF_MS

    async def due(
        self, since: date, now_ms: int, *, elsewhere: Set[tuple[str, date]] = frozenset()
    ) -> list[CoverageDay]:
        """Days from ``since`` on whose file may have what is NULL in them, newest first, but for those of symbols that
        are asked for ``elsewhere``. Raises what the database raises."""
        self._put_off = {key: until_ms for key, until_ms in self._put_off.items() if until_ms > now_ms}
        until = _day(now_ms - MOST_ROWS * FIVE_MINUTES_MS) - timedelta(days=1)
        todo = [day for day in _back(until, since) if self._next_ms.get(day, 0) <= now_ms]
        todo = [day for day in todo if (todo[0] - day).days < _DAYS_A_LOOK]
        found: list[CoverageDay] = []
        while todo:
            week = [day for day in todo if (todo[0] - day).days < _DAYS_AT_ONCE]
            found += await self._look(week, now_ms, elsewhere)
            todo = todo[len(week) :]
        return found

    async def _look(
        self, days: Sequence[date], now_ms: int, elsewhere: Set[tuple[str, date]]
    ) -> list[CoverageDay]:
        blank = await self._blanks.blank_days(days[-1], days[0])
        known = await self._names.known(Dataset.METRICS, days[-1], days[0])
        read = {
            (item.file.symbol, item.file.first_day)
            for item in known
            if item.state in (FileState.IMPORTED, FileState.QUARANTINED)
        }
        again_ms = {
            (item.file.symbol, item.file.first_day): item.checked_ms + _ASK_AGAIN_MS
            for item in known
            if item.state is FileState.MISSING
        }
        again_ms |= self._put_off
        again_ms |= dict.fromkeys(blank & elsewhere, now_ms + _PUT_OFF_MS)
        found = []
        for day in days:
            left = sorted(symbol for symbol, blank_day in blank - read if blank_day == day)
            wanted = [symbol for symbol in left if again_ms.get((symbol, day), 0) <= now_ms]
            if not wanted:
                self._next_ms[day] = min((again_ms[symbol, day] for symbol in left), default=float("inf"))
            found += [CoverageDay(Dataset.METRICS, symbol, day, _ROWS, _ROWS) for symbol in wanted]
        return found


def _back(until: date, since: date) -> list[date]:
    return [until - timedelta(days=number) for number in range((until - since).days + 1)]


def _day(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).date()
