"""Bars over HTTP equal the naive twin's, whichever piece is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from src.adapters.timescale.candles.repair import RepairStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.api.market.arrow import MEDIA_TYPE as ARROW
from src.api.market.intervals import INTERVALS
from src.model import DAY_MS, MINUTE_MS, Authority
from tests import naive
from tests.integration.bars.world import plain

from .market_world import EXCHANGE, HOUR_MS, NOW_MS, START_MS, MarketApi, serving

URL = "/api/v1/klines"


@pytest.fixture
async def world(database: str) -> AsyncIterator[MarketApi]:
    async with serving(database) as world:
        yield world


def open_times(rows: Sequence[dict[str, Any]]) -> list[int]:
    return [row["open_time"] for row in rows]


async def twins(world: MarketApi, symbol: str, length_ms: int, cuts: Sequence[int] = ()) -> list[Any]:
    """What the naive twin makes of the stored minutes: open time, four prices and the count of trades."""
    candles = await world.market.stored(symbol)
    until_ms = candles[-1][0] + MINUTE_MS if length_ms == MINUTE_MS else await world.market.front(symbol)
    bars = naive.time_bars_of_candles(candles, length_ms, cuts, until_ms)
    return [(bar[0], *bar[3:7], bar[9]) for bar in bars if bar[1] <= until_ms]


def told(rows: Sequence[dict[str, Any]]) -> list[Any]:
    return [
        tuple(row[name] for name in ("open_time", "open", "high", "low", "close", "trade_count"))
        for row in rows
    ]


async def test_minutes_are_as_they_are_stored(world: MarketApi) -> None:
    rows = plain("AUSDT", START_MS, 5, leave=[2])
    await world.market.store(rows)
    body = await world.get(URL, symbol="AUSDT")
    assert body["data"] == [
        {
            "open_time": row.open_ms,
            "open": row.open,
            "high": row.high,
            "low": row.low,
            "close": row.close,
            "volume": row.volume,
            "quote_volume": row.quote_volume,
            "trade_count": row.trade_count,
            "taker_buy_volume": row.taker_buy_volume,
            "missing_minutes": 0,
        }
        for row in rows
    ]
    assert {name: body[name] for name in ("symbol", "interval", "made_to_ms", "next")} == {
        "symbol": "AUSDT",
        "interval": "1m",
        "made_to_ms": None,
        "next": None,
    }


async def test_a_minute_that_was_mended_is_told_at_once(world: MarketApi) -> None:
    rows = plain("AUSDT", START_MS, 2 * 1440)
    await world.market.store(rows)
    world.market.keep()
    cache, minute = world.api.parts.cache, START_MS + 60 * MINUTE_MS
    session = SharedSession(DatabaseOptions(world.market.url, exchange=EXCHANGE), purpose="history")
    asked = {"symbol": "AUSDT", "start": minute, "end": minute + 10 * MINUTE_MS}
    try:
        assert (await world.get(URL, **asked))["data"][0]["close"] == rows[60].close
        assert await world.get(URL, **asked) and cache.hits == 1
        mended = replace(rows[60], close=rows[60].high, authority=Authority.ARCHIVE)
        assert mended.close != rows[60].close
        store = RepairStore(session, cache.changed)
        assert (await store.write(rows[60:61])).replaced == 0
        assert await world.get(URL, **asked) and cache.hits == 2, "what was there is no change"
        assert (await store.write([mended])).replaced == 1
        assert (await world.get(URL, **asked))["data"][0]["close"] == mended.close
    finally:
        await session.close()


async def test_every_interval_equals_the_naive_twin(world: MarketApi) -> None:
    """Ten days with holes and a listing that begins anew in the middle of bars of every length."""
    cut = START_MS + 4 * DAY_MS + 7 * HOUR_MS + MINUTE_MS
    holes = {*range(100, 131), *range(1_000, 2_500), 9_000}
    # A few minutes of each hour are enough to see which bar has which, and quicker to store.
    left = [n for n in range(14_400) if n in holes or (n % 60 > 7 and n % 1440 > 120)]
    await world.market.listed("AUSDT", START_MS, cut)
    await world.market.store(plain("AUSDT", START_MS, 14_400, leave=set(left)))
    world.market.keep()
    for name, interval in INTERVALS.items():
        expected = await twins(world, "AUSDT", interval.length_ms, [cut])
        assert expected
        assert told(await world.all(URL, symbol="AUSDT", interval=name, start=0, limit=199)) == expected, name
        newest = await world.get(URL, symbol="AUSDT", interval=name, limit=3)
        assert told(newest["data"]) == expected[-3:], name
        pieces = [newest["data"]]
        while newest["next"]:
            newest = await world.get(URL, symbol="AUSDT", interval=name, limit=150, cursor=newest["next"])
            pieces.insert(0, newest["data"])
        assert told([row for piece in pieces for row in piece]) == expected, name


async def test_a_bar_is_there_once_it_is_made_and_the_answer_says_up_to_when(world: MarketApi) -> None:
    await world.market.store(plain("AUSDT", START_MS, 165))
    for interval in ("5m", "30m", "3m"):
        body = await world.get(URL, symbol="AUSDT", interval=interval)
        assert (body["data"], body["made_to_ms"]) == ([], None)
    world.market.keep()
    for interval, bars in (("5m", 33), ("30m", 5), ("3m", 55), ("1h", 2), ("2h", 1), ("4h", 0)):
        body = await world.get(URL, symbol="AUSDT", interval=interval)
        assert (len(body["data"]), body["made_to_ms"]) == (bars, START_MS + 165 * MINUTE_MS), interval


async def test_what_is_missing_in_a_bar_is_said_and_mended_with_it(world: MarketApi) -> None:
    rows = plain("AUSDT", START_MS, 24 * 60)
    hole, limit = range(7, 20), 1000
    await world.market.store([row for n, row in enumerate(rows) if n not in hole])
    world.market.keep()

    async def missing(interval: str) -> list[tuple[int, int]]:
        body = await world.get(URL, symbol="AUSDT", interval=interval, end=START_MS + HOUR_MS, limit=limit)
        return [((row["open_time"] - START_MS) // MINUTE_MS, row["missing_minutes"]) for row in body["data"]]

    assert await missing("5m") == [
        (0, 0),
        (5, 3),
        (20, 0),
        (25, 0),
        (30, 0),
        (35, 0),
        (40, 0),
        (45, 0),
        (50, 0),
        (55, 0),
    ]
    assert await missing("15m") == [(0, 8), (15, 5), (30, 0), (45, 0)]
    assert await missing("30m") == [(0, 13), (30, 0)]
    assert (await missing("3m"))[:3] == [(0, 0), (3, 0), (6, 2)]
    assert await missing("6h") == [(0, 13)]
    await world.market.store([rows[n] for n in hole])
    world.market.keep()
    limit = 999  # another question than that which was just answered
    for interval in ("5m", "15m", "30m", "3m", "6h"):
        assert {lacking for _, lacking in await missing(interval)} == {0}, interval


async def test_a_value_that_one_minute_lacks_is_unknown_in_the_bar(world: MarketApi) -> None:
    rows = plain("AUSDT", START_MS, 120)
    rows[65] = replace(rows[65], quote_volume=None, trade_count=None, taker_buy_volume=None)
    await world.market.store(rows)
    world.market.keep()
    for interval, unknown in (("1m", 65), ("3m", 21), ("5m", 13), ("30m", 2)):
        body = await world.get(URL, symbol="AUSDT", interval=interval)
        for name in ("quote_volume", "trade_count", "taker_buy_volume"):
            found = [number for number, row in enumerate(body["data"]) if row[name] is None]
            assert found == [unknown], (interval, name)


async def test_ranges_are_from_the_start_or_up_to_the_end(world: MarketApi) -> None:
    await world.market.store(plain("AUSDT", START_MS, 100))

    async def minutes(**query: Any) -> list[int]:
        body = await world.get(URL, symbol="AUSDT", **query)
        return [(ms - START_MS) // MINUTE_MS for ms in open_times(body["data"])]

    assert await minutes(limit=3) == [97, 98, 99]
    assert await minutes(limit=3, end=START_MS + 10 * MINUTE_MS) == [7, 8, 9]
    assert await minutes(limit=3, start=START_MS + 10 * MINUTE_MS) == [10, 11, 12]
    assert await minutes(start="2026-11-01T00:10:00Z", end="2026-11-01T00:12:00.001Z") == [10, 11, 12]
    assert await minutes(start="2026-11-01T08:10:00.001+08:00", limit=1) == [11]
    assert await minutes(start=START_MS + 5, end=START_MS + 5) == []
    assert await minutes(end=START_MS) == []
    assert await minutes(start=0, end=START_MS + MINUTE_MS) == [0]
    assert await minutes(start=NOW_MS) == []


async def test_a_piece_is_whole_however_long_the_hole_before_it(world: MarketApi) -> None:
    """Years without a row between two stretches: both ways over it, and the pieces are one sequence."""
    late = START_MS + 4 * 365 * DAY_MS
    await world.market.store(plain("AUSDT", START_MS, 5), plain("AUSDT", late, 5))
    world.market.keep()
    expected = [
        *range(START_MS, START_MS + 5 * MINUTE_MS, MINUTE_MS),
        *range(late, late + 5 * MINUTE_MS, MINUTE_MS),
    ]
    assert open_times((await world.get(URL, symbol="AUSDT", limit=8))["data"]) == expected[2:]
    assert open_times((await world.get(URL, symbol="AUSDT", limit=8, start=0))["data"]) == expected[:8]
    assert open_times((await world.get(URL, symbol="AUSDT", limit=2, end=late))["data"]) == expected[3:5]
    assert open_times(await world.all(URL, symbol="AUSDT", limit=3, start=0)) == expected
    backwards = await world.all(URL, symbol="AUSDT", limit=3)
    assert sorted(open_times(backwards)) == expected
    days = (await world.get(URL, symbol="AUSDT", interval="1h"))["data"]
    assert open_times(days) == [START_MS]


async def test_what_is_not_known_is_404_and_nothing_stored_is_an_empty_list(world: MarketApi) -> None:
    await world.market.listed("NEWUSDT", START_MS)
    await world.market.listed("币安人生USDT", START_MS)
    for name in ("NEWUSDT", "币安人生USDT"):
        for interval in ("1m", "30m", "1d"):
            body = await world.get(URL, symbol=name, interval=interval)
            assert (body["symbol"], body["data"], body["next"]) == (name, [], None)
    for name in ("NOSUCH", "newusdt", "' OR 1=1 --", "A" * 64, "%", "..", "\N{PILE OF POO}"):
        status, body = await world.ask(URL, symbol=name)
        assert (status, body["title"]) == (404, "Unknown symbol"), name


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"symbol": ""}, "query.symbol"),
        ({"symbol": "A" * 65}, "query.symbol"),
        ({"interval": "1M"}, "query.interval"),
        ({"interval": "1m; DROP TABLE candles_1m"}, "query.interval"),
        ({"limit": 0}, "query.limit"),
        ({"limit": 10_001}, "query.limit"),
        ({"start": "yesterday"}, "query.start"),
        ({"end": "2026-11-31"}, "query.end"),
        ({"start": "2026-11-02", "end": "2026-11-01"}, "query.start"),
        ({"cursor": "newer-1"}, "query.cursor"),
        ({"cursor": "newer-1-99999999999999999999"}, "query.cursor"),
        ({"cursor": "older-1-x"}, "query.cursor"),
    ],
)
async def test_the_field_that_is_wrong_is_named(world: MarketApi, query: dict[str, Any], field: str) -> None:
    status, body = await world.ask(URL, **{"symbol": "AUSDT", **query})
    assert status == 422
    assert [error["field"] for error in body["errors"]] == [field]


async def test_what_is_over_is_kept_for_a_while_and_what_grows_is_not(world: MarketApi) -> None:
    cache = world.api.parts.cache
    rows = plain("AUSDT", START_MS, 150)
    await world.market.store(rows[:120])
    world.market.keep()
    over: dict[str, Any] = {"symbol": "AUSDT", "interval": "5m", "end": START_MS + HOUR_MS}
    first = await world.get(URL, **over)
    assert cache.hits == 0
    await world.market.store([replace(rows[59], close=rows[59].low, revision=1)])
    world.market.keep()
    assert await world.get(URL, **over) == first
    assert cache.hits == 1
    async with world.session.get(URL, params=over, headers={"Accept": ARROW}) as answer:
        assert answer.content_type == ARROW  # another answer to the same question
    cache.forget()
    assert (await world.get(URL, **over))["data"][-1]["close"] == rows[59].low
    hits, bars = cache.hits, 24
    grow: list[dict[str, int]] = [{"end": START_MS + 3 * HOUR_MS}, {}, {"start": START_MS}]
    for open_range in grow:
        for _ in range(2):
            body = await world.get(URL, symbol="AUSDT", interval="5m", **open_range)
            assert len(body["data"]) == bars
            await world.market.store(rows[bars * 5 : bars * 5 + 5])
            world.market.keep()
            bars += 1
    assert cache.hits == hits
