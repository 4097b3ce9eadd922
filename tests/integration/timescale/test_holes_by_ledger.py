"""The search for recent holes asks the ledger first: it finds the same, and looks only where something is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.adapters.timescale.ledger.days import day_of, start_of
from src.adapters.timescale.ledger.holes import HoleSearch
from src.adapters.timescale.ledger.ledger import CoverageStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.model import DAY_MS, MINUTE_MS, Dataset, Gap, Listing
from src.telemetry.metrics import Metrics
from tests.support.fakes import count

from .coverage import fill
from .helpers import CANDLE, START_MS, fetch, opened

DAY = day_of(START_MS)
MIDNIGHT_MS = start_of(DAY)
FOREVER_MS = 4_133_404_800_000
LISTINGS = [
    Listing("AUSDT", MIDNIGHT_MS - 9 * DAY_MS, FOREVER_MS),
    Listing("BUSDT", MIDNIGHT_MS - DAY_MS + 1300 * MINUTE_MS, FOREVER_MS),
    Listing("CUSDT", MIDNIGHT_MS + 3 * MINUTE_MS, FOREVER_MS),
]


class Bench:
    def __init__(self, url: str) -> None:
        self.url, self.metrics = url, Metrics()
        self.search = HoleSearch(DatabaseOptions(url), self.metrics)
        self.session = SharedSession(DatabaseOptions(url), purpose="ledger")
        self.ledger = CoverageStore(self.session)

    async def searched(self, since: dict[str, int], until_ms: int) -> tuple[list[Gap], int]:
        """The gaps, and how many symbols were searched for them."""
        before = count(self.metrics, "gap_symbols_searched_total")
        gaps = await self.search.holes(since, until_ms)
        return gaps, int(count(self.metrics, "gap_symbols_searched_total") - before)


@pytest.fixture
async def bench(database: str) -> AsyncIterator[Bench]:
    bench = Bench(database)
    yield bench
    await bench.search.close()
    await bench.session.close()


def at(minute: int) -> int:
    return MIDNIGHT_MS + minute * MINUTE_MS


def since_all(since_ms: int, until_ms: int) -> dict[str, int]:
    windows = {item.symbol: item.window(since_ms, until_ms) for item in LISTINGS}
    return {symbol: start for symbol, (start, to) in windows.items() if start < to}


async def complete(bench: Bench, until_ms: int) -> None:
    """Every minute due before ``until_ms`` is stored, and the ledger knows."""
    for item in LISTINGS:
        start, to = item.window(MIDNIGHT_MS - 2 * DAY_MS, until_ms)
        if start < to:
            await fill(bench.url, [item.symbol], start, to)
    await bench.ledger.follow(Dataset.CANDLES, LISTINGS, until_ms)


async def test_where_everything_is_there_nothing_is_searched(bench: Bench) -> None:
    await complete(bench, at(612))
    since = {"AUSDT": at(610 - 1497), "BUSDT": LISTINGS[1].onboard_ms}
    for until in (610, 611, 612):
        assert await bench.searched(since, at(until)) == ([], 0)
    # Listed during the running day: its line knows no more than how many, so it is searched.
    assert await bench.searched({"CUSDT": at(3)}, at(610)) == ([], 1)


async def test_a_fresher_row_hides_no_hole(bench: Bench) -> None:
    await complete(bench, at(612))
    await fetch(
        bench.url,
        "DELETE FROM candles_1m WHERE symbol = 'AUSDT' AND bucket_ts = to_timestamp(%s)",
        [at(5) // 1000],
    )
    await bench.ledger.recount(await bench.ledger.open_days(Dataset.CANDLES, DAY, DAY))
    gaps, searched = await bench.searched({"AUSDT": at(-900), "BUSDT": at(-100)}, at(610))
    assert (gaps, searched) == ([Gap("AUSDT", at(5), at(6), "missing")], 1)


async def test_only_what_was_deleted_is_searched(bench: Bench) -> None:
    await complete(bench, at(612))
    await fetch(
        bench.url,
        "DELETE FROM candles_1m WHERE symbol = 'BUSDT' AND bucket_ts = to_timestamp(%s)",
        [at(-9) // 1000],
    )
    gaps, searched = await bench.searched({"AUSDT": at(-900), "BUSDT": at(-100)}, at(610))
    assert (gaps, searched) == ([Gap("BUSDT", at(-9), at(-8), "missing")], 1)


async def test_where_the_ledger_has_no_line_all_is_searched(bench: Bench) -> None:
    async with opened(bench.url) as store:
        await store.write([replace(CANDLE, symbol="AUSDT", open_ms=at(minute)) for minute in (0, 1)], [])
    gaps, searched = await bench.searched({"AUSDT": at(0), "BUSDT": at(0)}, at(2))
    assert (gaps, searched) == ([Gap("BUSDT", at(0), at(2), "missing")], 2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    until=st.integers(-3, 12),
    newest=st.integers(0, 3),
    lookback=st.integers(1, 40),
    gone=st.sets(st.tuples(st.sampled_from(["AUSDT", "BUSDT", "CUSDT"]), st.integers(-30, 14)), max_size=4),
    recounted=st.booleans(),
)
async def test_it_finds_what_a_search_without_a_ledger_finds(
    database: str, until: int, newest: int, lookback: int, gone: set[tuple[str, int]], recounted: bool
) -> None:
    await fetch(database, "DELETE FROM candles_1m")
    await fetch(database, "DELETE FROM coverage_days")
    bench = Bench(database)
    await complete(bench, at(until + newest))
    await fetch(
        database,
        "DELETE FROM candles_1m USING unnest(%s::text[], %s::bigint[]) AS gone (symbol, s)"
        " WHERE candles_1m.symbol = gone.symbol AND bucket_ts = to_timestamp(s)",
        [[symbol for symbol, _ in gone], [at(minute) // 1000 for _, minute in gone]],
    )
    if recounted:
        dirty = await bench.ledger.open_days(Dataset.CANDLES, day_of(at(-1440)), DAY)
        await bench.ledger.recount(dirty)
    since = since_all(at(until - lookback), at(until))
    found = await bench.search.holes(since, at(until))
    await fetch(database, "DELETE FROM coverage_days")
    assert found == await bench.search.holes(since, at(until))
    await bench.search.close()
    await bench.session.close()
