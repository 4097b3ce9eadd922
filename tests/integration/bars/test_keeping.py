"""Kept bars through the database: the same however candles came, and nothing made again that needs not be."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.model import DAY_MS, MINUTE_MS
from tests.integration.timescale.helpers import fetch
from tests.unit.analysis.strategies import CandleStory, candles

from .world import Market, candle, plain, quiet, same, this_minute

START_MS = 1_760_054_400_000  # midnight
HOUR_MS = 60 * MINUTE_MS


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=candles(), data=st.data())
async def test_in_any_order_and_pieces_as_at_once(
    database: str, story: CandleStory, data: st.DataObject
) -> None:
    """Rows in any order, in pieces with runs between them, some replaced, listings that become known at any time."""
    market = Market(database)
    rows = [candle("LIVE", row) for row in story.rows]
    replaced = [
        replace(row, revision=1, close=row.low, volume=row.volume + 0.3)
        for row in (data.draw(st.lists(st.sampled_from(rows), max_size=3)) if rows else [])
    ]
    order = data.draw(st.permutations(rows)) if data.draw(st.booleans()) else rows
    events: list[Any] = [*order, *replaced]
    for cut in [0, *story.cuts]:
        events.insert(data.draw(st.integers(0, len(events))), cut)
    edges = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=3)))
    for start, end in zip([0, *edges], [*edges, len(events)], strict=True):
        for event in events[start:end]:
            if isinstance(event, int):
                await market.listed("LIVE", event)
        await market.store([event for event in events[start:end] if not isinstance(event, int)])
        market.keep(days=data.draw(st.sampled_from([0, 1, 1000])))
    await market.listed("ONCE", 0, *story.cuts)
    await market.store([replace(row, symbol="ONCE") for row in rows + replaced])
    assert market.keep()["days_left"] == 0
    if rows:
        assert same(await market.bars("LIVE"), await market.twins("LIVE", story.cuts))
        assert same(await market.bars("ONCE"), await market.twins("ONCE", story.cuts))
        # Who knew less of the listings at first may have passed a hole that the other one still waits for.
        front = min([await market.front(symbol) for symbol in ("ONCE", "LIVE")])
        once, live = [
            [kept for kept in await market.bars(symbol) if kept[1][1] <= front] for symbol in ("ONCE", "LIVE")
        ]
        assert same(once, live)


async def test_minute_by_minute_as_at_once(database: str) -> None:
    """Three hours as they happen, around midnight: every minute a run, and each bar is there with its last minute."""
    start = START_MS - 90 * MINUTE_MS
    market = Market(database)
    rows = plain("LIVE", start, 180)
    await market.store(rows[:75])
    for number in range(75, 180, 7):
        await market.store(rows[number : number + 7])
        made = market.keep()
        assert made["closed_ms"] == made["closed_all_ms"] == rows[min(number + 6, 179)].open_ms + MINUTE_MS
        assert same(await market.bars("LIVE"), await market.twins("LIVE"))
    assert {size for size, *_ in await market.bars("LIVE")} == {
        300_000,
        900_000,
        HOUR_MS,
        4 * HOUR_MS,
        DAY_MS,
    }


async def test_a_hole_holds_the_bars_behind_it_for_an_hour_and_no_longer(database: str) -> None:
    market = Market(database)
    hole = 65
    whole, holed = plain("WHOLE", START_MS, 200), plain("HOLED", START_MS, 200, leave=[hole])
    await market.store(whole[:10] + holed[:10])
    market.keep()
    for newest in (hole + 30, hole + 60, hole + 61, 199):
        until = START_MS + newest * MINUTE_MS
        await market.store([row for row in whole + holed if row.open_ms < until])
        market.keep()
        assert await market.front("WHOLE") == until
        waits = newest <= hole + 60
        assert await market.front("HOLED") == (START_MS + hole * MINUTE_MS if waits else until)
        assert same(await market.bars("HOLED"), await market.twins("HOLED"))
    lacking = [bar for _, bar, missing in await market.bars("HOLED") if missing]
    assert [bar[0] - START_MS for bar in lacking] == [hole * MINUTE_MS, 60 * MINUTE_MS, HOUR_MS], (
        "5m, 15m, 1h"
    )


async def test_a_late_minute_makes_again_just_the_bars_that_it_touches(database: str) -> None:
    market = Market(database)
    await market.store(plain("LATE", START_MS, 1500, leave=[700]))
    market.keep()
    before = await versions(market)
    await market.store(plain("LATE", START_MS, 701)[700:])
    made = market.keep()
    assert (made["bars"], made["days"], made["days_left"]) == (5, 1, 0)
    after = await versions(market)
    touched = [key for key, version in after.items() if before.get(key) != version]
    at = START_MS + 700 * MINUTE_MS
    assert sorted(touched) == [
        (size, at // size * size) for size in (300_000, 900_000, HOUR_MS, 4 * HOUR_MS, DAY_MS)
    ]
    assert same(await market.bars("LATE"), await market.twins("LATE"))
    assert not any(missing for _, _, missing in await market.bars("LATE"))


async def test_a_young_minute_that_comes_behind_others_is_waited_for(database: str) -> None:
    """By the real clock, where nothing is late enough to be written down. It was listed just now."""
    market = Market(database)
    start = this_minute() - 25 * MINUTE_MS
    await market.listed("YOUNG", start + 20_000)
    await market.store(plain("YOUNG", start, 25, leave=[10, 11]))
    market.keep()
    assert await market.front("YOUNG") == start + 10 * MINUTE_MS
    await market.store(plain("YOUNG", start, 25, leave=[11]))
    market.keep()
    assert await market.front("YOUNG") == start + 11 * MINUTE_MS
    await market.store(plain("YOUNG", start, 25))
    assert await market.changes() == 0
    market.keep()
    assert await market.front("YOUNG") == start + 25 * MINUTE_MS
    assert same(await market.bars("YOUNG"), await market.twins("YOUNG"))


async def test_whatever_the_age_of_a_hole_its_minute_gets_into_its_bars(database: str) -> None:
    """By the real clock, around the half hour of late rows and the hour at which holes are passed."""
    market = Market(database)
    start = this_minute() - 100 * MINUTE_MS
    await market.listed("X", start)
    ages = (69, 62, 61, 60, 59, 58, 45, 32, 31, 30, 29, 28, 5)
    for age in ages:
        await market.store(plain("X", start, 100, leave=[100 - other for other in ages if other <= age]))
        market.keep()
    await market.store(plain("X", start, 100))
    market.keep()
    assert await market.front("X") == start + 100 * MINUTE_MS
    assert same(await market.bars("X"), await market.twins("X"))
    assert not any(missing for _, bar, missing in await market.bars("X") if bar[0] >= start)


async def test_bars_of_deleted_candles_go_and_those_of_dropped_ones_stay(database: str) -> None:
    market = Market(database)
    week = 1_759_968_000_000  # a chunk begins: multiples of seven days since 1970
    assert week % (7 * DAY_MS) == 0
    await market.store(plain("OLD", week - DAY_MS, 1440), plain("OLD", week, 1440))
    market.keep()
    await fetch(
        database,
        "DELETE FROM candles_1m WHERE exchange = %s AND bucket_ts >= to_timestamp(%s) AND bucket_ts < to_timestamp(%s)",
        [market.exchange, week / 1000, week / 1000 + 3600],
    )
    market.keep()
    bars = await market.bars("OLD")
    assert same(bars, await market.twins("OLD"))
    assert (3_600_000, week) not in [(size, bar[0]) for size, bar, _ in bars]
    await fetch(database, "UPDATE coverage_days SET expected = 1440 WHERE exchange = %s", [market.exchange])
    await fetch(
        database,
        "INSERT INTO candle_changes (exchange, day, symbol, from_ts, to_ts)"
        " SELECT %s, day, 'OLD', day, day + 1 FROM (SELECT (to_timestamp(%s) AT TIME ZONE 'UTC')::date AS day) AS of",
        [market.exchange, week / 1000 - 86400],
    )
    await fetch(database, "SELECT expire(to_timestamp(%s))", [week / 1000])
    assert market.keep()["days"] == 1
    assert same(await market.bars("OLD"), bars)
    await fetch(database, "DELETE FROM candles_1m WHERE exchange = %s", [market.exchange])
    market.keep()
    assert {bar[0] < week for _, bar, _ in await market.bars("OLD")} == {True}, "the ledger counts none yet"
    await fetch(database, "UPDATE coverage_days SET have = 0 WHERE exchange = %s", [market.exchange])
    assert market.keep()["symbols"] == 0


async def test_listed_again_within_a_day_is_two_bars_of_it(database: str) -> None:
    market = Market(database)
    again = START_MS + 61 * MINUTE_MS
    await market.store(plain("AGAIN", START_MS, 1440), plain("OTHER", START_MS, 1500))
    market.keep()
    await market.listed("AGAIN", START_MS - DAY_MS, again + 30_000)
    market.keep()
    bars = await market.bars("AGAIN")
    assert same(bars, await market.twins("AGAIN", [again]))
    assert [bar[:2] for size, bar, _ in bars if size == DAY_MS] == [
        (START_MS, again),
        (again, START_MS + DAY_MS),
    ]
    await fetch(database, "DELETE FROM instruments WHERE exchange = %s", [market.exchange])
    market.keep()
    assert same(await market.bars("AGAIN"), await market.twins("AGAIN"))


async def test_a_run_that_ends_in_the_middle_is_gone_on_with(database: str) -> None:
    market = Market(database)
    for day in range(4):
        await market.store(plain("A", START_MS + day * DAY_MS, 300), plain("B", START_MS + day * DAY_MS, 300))
    told: list[float] = []

    def note(text: str, share: float | None = None) -> None:
        if share is not None:
            told.append(share)
            if len(told) == 2:
                raise KeyboardInterrupt

    first = market.keep(days=3, note=quiet)
    assert (first["days"], first["days_left"]) == (3, 5)
    newest = {bar[0] // DAY_MS for _, bar, _ in await market.bars("A") + await market.bars("B")}
    assert min(newest) == START_MS // DAY_MS + 2, "the newest days first"
    market.keep(days=1, note=note)
    with pytest.raises(KeyboardInterrupt):
        market.keep(days=1, note=note)
    assert market.keep()["days_left"] == 0
    for symbol in ("A", "B"):
        assert same(await market.bars(symbol), await market.twins(symbol))
    assert await market.changes() == 0


async def test_two_runs_at_once_leave_what_one_leaves(database: str) -> None:
    market = Market(database)
    for day in range(3):
        await market.store(*(plain(symbol, START_MS + day * DAY_MS, 400) for symbol in "ABCD"))
    with ThreadPoolExecutor(3) as threads:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(threads, market.keep) for _ in range(3)))
    for symbol in "ABCD":
        assert same(await market.bars(symbol), await market.twins(symbol))


async def test_after_a_long_absence_the_days_between_are_history(database: str) -> None:
    market = Market(database)
    await market.store(plain("A", START_MS, 100))
    market.keep()
    await market.store(*(plain("A", START_MS + day * DAY_MS, 1440) for day in range(4)))
    await fetch(database, "DELETE FROM candle_changes WHERE exchange = %s", [market.exchange])
    assert market.keep(days=0)["days_left"] == 4
    market.keep()
    assert same(await market.bars("A"), await market.twins("A"))


async def test_of_an_empty_market_nothing_is_made(database: str) -> None:
    made = Market(database).keep()
    assert (made["symbols"], made["bars"], made["days_left"]) == (0, 0, 0)


async def versions(market: Market) -> dict[tuple[int, int], str]:
    """Which transaction wrote each bar, by size and time."""
    rows = await fetch(
        market.url,
        "SELECT size, (extract(epoch FROM open_ts) * 1000)::bigint, xmin::text FROM bars WHERE exchange = %s",
        [market.exchange],
    )
    return {(int(size), open_ms): version for size, open_ms, version in rows}
