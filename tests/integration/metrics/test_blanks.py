"""The search for days whose values are partly NULL, on the real database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from src.collectors.metrics.blanks import BlankDays
from src.model import DAY_MS

from .test_history import SYMBOL, _rows_without, past


async def test_a_day_that_nobody_can_read_keeps_no_older_one_from_its_turn(
    database: str, tmp_path: Path
) -> None:
    async with past(database, tmp_path) as it:
        recent, old = (it.yesterday - timedelta(days=number) for number in (2, 40))
        for day in (recent, old):
            await it.it.store.write(_rows_without(day, "count_long_short_ratio"))
        finder, now_ms = BlankDays(it.it.store, it.notes), it.it.clock.now_ms()
        (unread,) = await finder.due(old, now_ms)
        assert unread.day == recent
        finder.put_off(unread, now_ms)
        looks = [await finder.due(old, now_ms) for _ in range(2)]
        assert [item.day for look in looks for item in look] == [old]
        assert [item.day for item in await finder.due(recent, now_ms + 2 * DAY_MS)] == [recent]


async def test_a_day_that_lacks_rows_too_keeps_no_older_one_from_its_turn(
    database: str, tmp_path: Path
) -> None:
    """It is asked for because of its rows; its file may never have been published."""
    async with past(database, tmp_path) as it:
        recent, old = (it.yesterday - timedelta(days=number) for number in (2, 40))
        await it.it.store.write(_rows_without(recent, "count_long_short_ratio")[:100])
        await it.it.store.write(_rows_without(old, "count_long_short_ratio"))
        finder, now_ms = BlankDays(it.it.store, it.notes), it.it.clock.now_ms()
        looks = [await finder.due(old, now_ms, elsewhere={(SYMBOL, recent)}) for _ in range(2)]
        assert [item.day for look in looks for item in look] == [old]
