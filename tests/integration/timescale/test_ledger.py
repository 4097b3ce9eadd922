"""The coverage ledger against the real database: what is due, what is open, and exactly which minutes are missing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.adapters.timescale.ledger.days import day_of, start_of
from src.adapters.timescale.ledger.ledger import CoverageStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.queries import query
from src.adapters.timescale.sessions.shared import SharedSession
from src.errors import Misconfigured, Unavailable
from src.model import DAY_MS, MINUTE_MS, CoverageDay, Dataset, Gap, Listing
from tests.support.chaosproxy import ChaosProxy

from .coverage import EXCHANGE, fill, list_symbol
from .helpers import CANDLE, START_MS, connect, fetch, opened, server_address, through

DAY = day_of(START_MS)
MIDNIGHT_MS = start_of(DAY)
FOREVER_MS = 4_133_404_800_000


@pytest.fixture
async def ledger(database: str) -> AsyncIterator[CoverageStore]:
    session = SharedSession(DatabaseOptions(database), purpose="ledger")
    yield CoverageStore(session)
    await session.close()


def day(offset: int) -> date:
    return DAY + timedelta(days=offset)


def at(offset_days: int, minute: int = 0) -> int:
    return MIDNIGHT_MS + offset_days * DAY_MS + minute * MINUTE_MS


async def lines(url: str) -> list[tuple[object, ...]]:
    return await fetch(
        url, 'SELECT symbol, day, expected, have, state FROM coverage_days ORDER BY symbol COLLATE "C", day'
    )


async def test_a_listing_has_a_line_for_each_day_and_parts_of_days_less(
    database: str, ledger: CoverageStore
) -> None:
    listings = [
        Listing("AUSDT", at(-2, 600), FOREVER_MS),
        Listing("BUSDT", at(-3, 1430), at(-2, 10)),
        Listing("BUSDT", at(-2, 1000), at(-1)),
    ]
    for _ in range(2):  # repeating it changes nothing
        await ledger.follow(Dataset.CANDLES, listings, at(0, 5))
        assert [line[:3] for line in await lines(database)] == [
            ("AUSDT", day(-2), 840),
            ("AUSDT", day(-1), 1440),
            ("AUSDT", day(0), 1440),
            ("BUSDT", day(-3), 10),
            ("BUSDT", day(-2), 450),
        ]


async def test_metrics_are_due_every_five_minutes(database: str, ledger: CoverageStore) -> None:
    await ledger.follow(Dataset.METRICS, [Listing("AUSDT", at(-1, 2), FOREVER_MS)], at(0))
    assert [line[:3] for line in await lines(database)] == [("AUSDT", day(-1), 287), ("AUSDT", day(0), 288)]


async def test_funding_is_due_as_whoever_knows_says(database: str, ledger: CoverageStore) -> None:
    with pytest.raises(ValueError, match="expect"):
        await ledger.follow(Dataset.FUNDING, [], at(0))
    for due in (3, 6, 6):
        await ledger.expect(Dataset.FUNDING, {("AUSDT", DAY): due, ("BUSDT", DAY): 3})
    assert [line[:3] for line in await lines(database)] == [("AUSDT", DAY, 6), ("BUSDT", DAY, 3)]


async def test_rows_that_came_before_the_line_was_followed_count(
    database: str, ledger: CoverageStore
) -> None:
    async with opened(database) as store:
        await store.write(
            [replace(CANDLE, symbol="AUSDT", open_ms=at(0, minute)) for minute in range(10)], []
        )
    await ledger.follow(Dataset.CANDLES, [Listing("AUSDT", at(0), at(0, 10))], at(0))
    assert await lines(database) == [("AUSDT", DAY, 10, 10, "complete")]
    assert await ledger.open_days(Dataset.CANDLES, day(-9), day(9)) == []


async def test_a_delisting_takes_back_what_was_due_after_it(database: str, ledger: CoverageStore) -> None:
    await ledger.follow(Dataset.CANDLES, [Listing("AUSDT", at(-2), FOREVER_MS)], at(0))
    await ledger.follow(Dataset.CANDLES, [Listing("AUSDT", at(-2), at(-1, 30))], at(0))
    assert [line[2] for line in await lines(database)] == [1440, 30, 0]
    # Another process that knows nothing of the first finds the same.
    session = SharedSession(DatabaseOptions(database), purpose="ledger")
    await CoverageStore(session).follow(Dataset.CANDLES, [Listing("AUSDT", at(-1, 5), at(-1, 40))], at(1))
    await session.close()
    assert [line[2] for line in await lines(database)] == [0, 35, 0]


async def test_following_what_did_not_change_sends_no_statement(database: str, ledger: CoverageStore) -> None:
    listings = [Listing("AUSDT", at(-400), FOREVER_MS)]
    await ledger.follow(Dataset.CANDLES, listings, at(0))
    await fetch(database, "DROP TABLE coverage_days")
    await ledger.follow(Dataset.CANDLES, listings, at(0, 1439))
    with pytest.raises(Misconfigured, match="42P01"):
        await ledger.follow(Dataset.CANDLES, listings, at(1))


spans = st.tuples(st.integers(-3000, 3000), st.integers(1, 2000))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.lists(spans, min_size=1, max_size=3), st.integers(-3, 3)), min_size=1, max_size=4
    )
)
async def test_whatever_the_listings_become_what_is_due_is_their_minutes(
    database: str, steps: list[tuple[list[tuple[int, int]], int]]
) -> None:
    await fetch(database, "DELETE FROM coverage_days")
    session = SharedSession(DatabaseOptions(database), purpose="ledger")
    ledger = CoverageStore(session)
    last, items = -4, []
    for shapes, until in steps:
        last = max(last, until)
        items = [Listing("AUSDT", at(0, start), at(0, start + length)) for start, length in shapes]
        await ledger.follow(Dataset.CANDLES, items, at(last))
    await session.close()
    minutes = {m for item in items for m in range(item.onboard_ms, min(item.end_ms, at(last + 1)), MINUTE_MS)}
    due: dict[date, int] = {}
    for minute in minutes:
        due[day_of(minute)] = due.get(day_of(minute), 0) + 1
    assert {line[1]: line[2] for line in await lines(database) if line[2]} == due


async def test_open_days_come_ordered_and_dirty_ones_with_them(database: str, ledger: CoverageStore) -> None:
    await ledger.follow(
        Dataset.CANDLES, [Listing(name, at(-1), at(0, 10)) for name in ("BUSDT", "AUSDT", "aUSDT")], at(0)
    )
    await fill(database, ["BUSDT", "AUSDT", "aUSDT"], at(0), at(0, 10))
    await fetch(database, "DELETE FROM candles_1m WHERE symbol = 'AUSDT'")
    found = await ledger.open_days(Dataset.CANDLES, day(0), day(5))
    assert found == [CoverageDay(Dataset.CANDLES, "AUSDT", DAY, 10, 10, dirty=True)]
    await ledger.recount(found)
    assert await ledger.open_days(Dataset.CANDLES, day(-1), day(0)) == [
        CoverageDay(Dataset.CANDLES, "AUSDT", day(-1), 1440, 0),
        CoverageDay(Dataset.CANDLES, "AUSDT", day(0), 10, 0),
        CoverageDay(Dataset.CANDLES, "BUSDT", day(-1), 1440, 0),
        CoverageDay(Dataset.CANDLES, "aUSDT", day(-1), 1440, 0),
    ]


async def test_ten_thousand_deleted_minutes_are_found_exactly(database: str, ledger: CoverageStore) -> None:
    symbols, days = [f"S{number:02}USDT" for number in range(20)], 10
    await ledger.follow(Dataset.CANDLES, [Listing(name, at(-days), at(0)) for name in symbols], at(0))
    await fill(database, symbols, at(-days), at(0))
    assert await ledger.open_days(Dataset.CANDLES, day(-days), day(0)) == []
    chosen = random.Random(3).sample([(name, m) for name in symbols for m in range(days * 1440)], 10_000)
    await fetch(
        database,
        "DELETE FROM candles_1m USING unnest(%s::text[], %s::bigint[]) AS gone (symbol, ms)"
        " WHERE candles_1m.symbol = gone.symbol AND bucket_ts = to_timestamp(ms / 1000)",
        [[name for name, _ in chosen], [at(-days, minute) for _, minute in chosen]],
    )
    dirty = await ledger.open_days(Dataset.CANDLES, day(-days), day(0))
    await ledger.recount(dirty)
    found = await ledger.open_days(Dataset.CANDLES, day(-days), day(0))
    assert sum(item.unaccounted for item in found) == 10_000
    gaps = await ledger.holes(Dataset.CANDLES, found, at(0))
    assert {(gap.symbol, minute) for gap in gaps for minute in range(gap.from_ms, gap.to_ms, MINUTE_MS)} == {
        (name, at(-days, minute)) for name, minute in chosen
    }
    assert len(gaps) == len(
        {(gap.symbol, gap.from_ms) for gap in gaps} - {(gap.symbol, gap.to_ms) for gap in gaps}
    )


async def test_holes_lie_inside_the_listings_and_before_now(database: str, ledger: CoverageStore) -> None:
    listings = [Listing("AUSDT", at(0, 10), at(0, 20)), Listing("AUSDT", at(0, 100), FOREVER_MS)]
    await list_symbol(database, *listings)
    await ledger.follow(Dataset.CANDLES, listings, at(0))
    await fill(database, ["AUSDT"], at(0, 12), at(0, 15))
    found = await ledger.holes(
        Dataset.CANDLES, await ledger.open_days(Dataset.CANDLES, day(0), day(0)), at(0, 110) + 1
    )
    assert found == [
        Gap("AUSDT", at(0, 10), at(0, 12), "missing"),
        Gap("AUSDT", at(0, 15), at(0, 20), "missing"),
        Gap("AUSDT", at(0, 100), at(0, 110), "missing"),
    ]


async def test_a_hole_over_days_and_weeks_is_one_gap(database: str, ledger: CoverageStore) -> None:
    await ledger.follow(Dataset.CANDLES, [Listing("AUSDT", at(-20), at(0))], at(0))
    open_days = await ledger.open_days(Dataset.CANDLES, day(-20), day(0))
    assert await ledger.holes(Dataset.CANDLES, open_days, at(3)) == [Gap("AUSDT", at(-20), at(0), "missing")]


async def test_what_is_proved_absent_is_no_hole(database: str, ledger: CoverageStore) -> None:
    await ledger.follow(Dataset.CANDLES, [Listing("AUSDT", at(0), at(1))], at(0))
    await fill(database, ["AUSDT"], at(0, 2), at(1))
    await fetch(
        database,
        "INSERT INTO absent_minutes (exchange, dataset, symbol, ts, archive_path, archive_sha256, rest_asked_at,"
        " next_ask_at) VALUES (%s, 'candles_1m', 'AUSDT', to_timestamp(%s), 'p', 's', now(), now())",
        [EXCHANGE, at(0) // 1000],
    )
    open_days = await ledger.open_days(Dataset.CANDLES, day(0), day(0))
    assert await ledger.holes(Dataset.CANDLES, open_days, at(1)) == [
        Gap("AUSDT", at(0, 1), at(0, 2), "missing")
    ]
    await ledger.recount(open_days)
    assert await fetch(database, "SELECT have, absent, state FROM coverage_days") == [(1438, 1, "open")]


async def test_counting_beside_a_writer_loses_nothing(database: str, ledger: CoverageStore) -> None:
    await ledger.follow(Dataset.CANDLES, [Listing("AUSDT", at(0), at(1))], at(0))
    line = await ledger.open_days(Dataset.CANDLES, day(0), day(0))
    async with opened(database) as store:

        async def write() -> None:
            for minute in range(60):
                await store.write([replace(CANDLE, symbol="AUSDT", open_ms=at(0, minute))], [])

        async def count() -> None:
            for _ in range(40):
                await ledger.recount(line)

        await asyncio.gather(write(), count())
    assert await fetch(database, "SELECT have FROM coverage_days") == [(60,)]


async def test_a_lost_connection_is_made_anew(database: str) -> None:
    async with ChaosProxy(server_address(database)) as proxy:
        session = SharedSession(DatabaseOptions(through(database, proxy.port)), purpose="ledger")
        ledger = CoverageStore(session)
        listings = [Listing("AUSDT", at(0), at(1))]
        await ledger.follow(Dataset.CANDLES, listings, at(-1))
        await ledger.open_days(Dataset.CANDLES, DAY, DAY)
        assert proxy.reset_all() == 1
        with pytest.raises(Unavailable):
            await ledger.follow(Dataset.CANDLES, listings, at(0))
        await ledger.follow(Dataset.CANDLES, listings, at(0))
        assert len(await ledger.open_days(Dataset.CANDLES, DAY, DAY)) == 1
        await session.close()


async def test_looking_for_open_days_reads_the_index_of_what_is_to_do(
    database: str, ledger: CoverageStore
) -> None:
    """A year that was filled leaves an index of empty pages, which must not drive the planner to the whole ledger."""
    names = [f"S{number:02}USDT" for number in range(60)]
    await ledger.follow(Dataset.CANDLES, [Listing(name, at(-364), FOREVER_MS) for name in names], at(0))
    await fetch(database, "UPDATE coverage_days SET have = expected WHERE day < %s", [DAY])
    await fetch(database, "VACUUM (ANALYZE) coverage_days")
    given = {"exchange": EXCHANGE, "dataset": "candles_1m", "since": day(-364), "until": day(0)}
    async with await connect(database) as connection, connection.transaction():
        await connection.execute(query("coverage", "by_index_alone"))
        cursor = await connection.execute("EXPLAIN " + query("coverage", "open_days"), given)
        plan = "\n".join(row[0] for row in await cursor.fetchall())
    assert "coverage_days_to_do" in plan, plan
    assert "Seq Scan" not in plan, plan
    assert len(await ledger.open_days(Dataset.CANDLES, day(-364), day(0))) == len(names)
