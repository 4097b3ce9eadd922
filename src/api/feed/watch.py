"""Where the feed has what nobody in this process tells it: logs of tasks, and candles that another process writes.

Both are asked of the database, and only while somebody listens. Notifications would come a little sooner, but every
commit of the writer would have to make them (docs/adr/0050-http-in-the-daemons-loop.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from ...errors import TooWide
from ...model import Authority, Candle
from ...ports import Clock
from ...ports.reading import Reader
from .frames import TaskNews
from .hub import YOUNG_MS, Hub

_TASKS_EVERY_S = 0.5
_CANDLES_EVERY_S = 1.0
_MOST_FOLLOWED = 200
_LINES_AT_ONCE = 200
_NOT_ASKED_YET = (0, "", None)
"""Of a task that is not there: the first line of its log is news, and so is that it waits."""


class TaskWatch:
    """Follows the tasks that somebody wants to hear of."""

    def __init__(self, hub: Hub, reader: Reader) -> None:
        self._hub = hub
        self._reader = reader
        self._seen: dict[str, tuple[int, str, float | None]] = {}
        """By task: the last line that was told, the state and the share."""

    async def follow(self, task_ids: Iterable[str]) -> None:
        """From now on the lines behind those that are there are told, of a task that is asked for later all of them.

        Raises ``TooWide``, or what the reader raises.
        """
        new = [task_id for task_id in task_ids if task_id not in self._seen]
        if not new:
            return
        if len(self._seen) + len(new) > _MOST_FOLLOWED:
            raise TooWide(f"more than {_MOST_FOLLOWED} tasks are followed by all who listen")
        rows = await self._reader.rows("feed.task_ends", task_ids=new)
        there = {task_id: (number, state, share) for task_id, number, state, share in rows}
        for task_id in new:
            self._seen.setdefault(task_id, there.get(task_id, _NOT_ASKED_YET))

    async def run(self) -> None:
        """Ask until cancelled, while there is somebody to tell."""
        while True:
            await asyncio.sleep(_TASKS_EVERY_S)
            wanted = self._hub.wanted_tasks
            self._seen = {task_id: seen for task_id, seen in self._seen.items() if task_id in wanted}
            if self._seen:
                await self._ask()

    async def _ask(self) -> None:
        asked = dict(self._seen)
        rows = await self._reader.rows(
            "feed.task_news",
            task_ids=list(asked),
            numbers=[number for number, _, _ in asked.values()],
            limit=_LINES_AT_ONCE,
        )
        for task_id, state, share, lines in rows:
            number, *before = asked[task_id]
            found = tuple((line[0], line[1], line[2], line[3]) for line in lines)
            if found or [state, share] != before:
                self._hub.task(task_id, TaskNews(state, share, found))
                self._seen[task_id] = (found[-1][0] if found else number, state, share)


class CandleWatch:
    """Tells of candles that another process commits: asks each second which days have more rows than before.

    The ledger's count of a day changes in the same transaction as its rows do, so an idle second costs one look at two
    small rows a symbol.
    """

    def __init__(self, hub: Hub, reader: Reader, clock: Clock, *, exchange: str) -> None:
        self._hub, self._reader, self._clock, self._exchange = hub, reader, clock, exchange
        self._counts: dict[str, int] | None = None
        self._told: dict[str, int] = {}
        """By symbol: the newest minute that was told (UTC ms)."""

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_CANDLES_EVERY_S)
            if self._hub.wants_candles:
                await self._ask()
            else:
                self._counts = None

    async def _ask(self) -> None:
        now_ms = self._clock.now_ms()
        counts = dict(
            await self._reader.rows("feed.day_counts", exchange=self._exchange, since_ms=now_ms - YOUNG_MS)
        )
        before, self._counts = self._counts, counts
        if before is None:
            self._told = dict.fromkeys(counts, now_ms - YOUNG_MS)
            before = {}
        grown = [symbol for symbol, count in counts.items() if count != before.get(symbol, 0)]
        if grown:
            await self._tell(grown, now_ms)

    async def _tell(self, symbols: list[str], now_ms: int) -> None:
        floor = now_ms - YOUNG_MS
        rows = await self._reader.rows(
            "feed.newest_candles",
            exchange=self._exchange,
            symbols=symbols,
            after_ms=[max(self._told.get(symbol, floor), floor) for symbol in symbols],
            since_ms=floor,
        )
        candles = [_candle(row) for row in rows]
        for candle in candles:
            self._told[candle.symbol] = max(self._told.get(candle.symbol, 0), candle.open_ms)
        self._hub.candles(candles)


def _candle(row: tuple[Any, ...]) -> Candle:
    values: tuple[Any, ...] = (*row[:-1], Authority(row[-1]))
    return Candle(*values)
