"""The search for holes equals a naive set difference, and reads no chunk that cannot matter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.adapters.timescale.ledger.holes import HoleSearch
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.queries import query
from src.errors import Misconfigured, Unavailable
from src.model import MINUTE_MS, Gap
from tests.support.chaosproxy import ChaosProxy

from .helpers import CANDLE, START_MS, connect, fetch, opened, server_address, through

SYMBOLS = ["AUSDT", "BUSDT", "aUSDT", "币安人生USDT"]


@pytest.fixture
async def search(database: str) -> AsyncIterator[HoleSearch]:
    search = HoleSearch(DatabaseOptions(database))
    yield search
    await search.close()


def at(minute: int) -> int:
    return START_MS + minute * MINUTE_MS


def naive(stored: set[tuple[str, int]], since: Mapping[str, int], until_ms: int) -> list[Gap]:
    """The slow twin: minute by minute."""
    gaps: list[Gap] = []
    for symbol in sorted(since):
        minute = -(-since[symbol] // MINUTE_MS) * MINUTE_MS
        while minute + MINUTE_MS <= until_ms:
            if (symbol, minute) not in stored:
                if gaps and gaps[-1].symbol == symbol and gaps[-1].to_ms == minute:
                    gaps[-1] = replace(gaps[-1], to_ms=minute + MINUTE_MS)
                else:
                    gaps.append(Gap(symbol, minute, minute + MINUTE_MS, "missing"))
            minute += MINUTE_MS
    return gaps


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.sets(st.tuples(st.sampled_from(SYMBOLS), st.integers(-5, 25)), max_size=40),
    since=st.dictionaries(st.sampled_from(SYMBOLS), st.integers(-3 * MINUTE_MS, 22 * MINUTE_MS), max_size=4),
    until=st.integers(-2 * MINUTE_MS, 22 * MINUTE_MS),
)
async def test_equals_the_naive_twin(
    database: str, search: HoleSearch, rows: set[tuple[str, int]], since: dict[str, int], until: int
) -> None:
    await fetch(database, "DELETE FROM candles_1m")
    async with opened(database) as store:
        await store.write([replace(CANDLE, symbol=symbol, open_ms=at(minute)) for symbol, minute in rows], [])
    starts = {symbol: START_MS + offset for symbol, offset in since.items()}
    stored = {(symbol, at(minute)) for symbol, minute in rows}
    assert await search.holes(starts, START_MS + until) == naive(stored, starts, START_MS + until)


async def test_another_exchange_fills_no_hole(database: str, search: HoleSearch) -> None:
    async with opened(database, exchange="elsewhere") as store:
        await store.write([CANDLE], [])
    assert await search.holes({"BTCUSDT": at(0)}, at(2)) == [Gap("BTCUSDT", at(0), at(2), "missing")]


async def test_holes_across_chunks_are_one_gap(database: str, search: HoleSearch) -> None:
    days = 30 * 1440
    rows = [replace(CANDLE, open_ms=at(minute)) for minute in (0, 5, days)]
    async with opened(database) as store:
        await store.write(rows, [])
    assert [(gap.from_ms, gap.to_ms) for gap in await search.holes({"BTCUSDT": at(0)}, at(days + 2))] == [
        (at(1), at(5)),
        (at(6), at(days)),
        (at(days + 1), at(days + 2)),
    ]


async def test_a_lost_connection_is_made_anew(database: str) -> None:
    async with ChaosProxy(server_address(database)) as proxy:
        search = HoleSearch(DatabaseOptions(through(database, proxy.port)))
        assert len(await search.holes({"AUSDT": at(0)}, at(1))) == 1
        assert proxy.reset_all() == 1
        with pytest.raises(Unavailable):
            await search.holes({"AUSDT": at(0)}, at(1))
        assert len(await search.holes({"AUSDT": at(0)}, at(1))) == 1
        await search.close()


async def test_a_missing_table_is_misconfigured(empty_database: str) -> None:
    search = HoleSearch(DatabaseOptions(empty_database))
    with pytest.raises(Misconfigured, match="42P01"):
        await search.holes({"AUSDT": at(0)}, at(1))
    await search.close()


@pytest.mark.slow
async def test_a_day_is_planned_without_the_chunks_of_other_days(database: str) -> None:
    """Seven years in daily chunks; the plan for one day names two of them at most, and is made in well under 1 s."""
    chunks = 2500
    async with await connect(database) as connection:
        await connection.execute("SELECT set_chunk_time_interval('candles_1m', interval '1 day')")
        for first in range(0, chunks, 100):
            await connection.execute(
                "INSERT INTO candles_1m"
                " (exchange, symbol, bucket_ts, open, high, low, close, volume, authority, source)"
                " SELECT 'x', 'AUSDT', to_timestamp(%s::float8 / 1000) - n * interval '1 day', 1, 1, 1, 1, 0, 1, 't'"
                " FROM generate_series(%s::int, %s::int) AS n",
                [START_MS, first, first + 99],
            )
        parameters = {
            "exchange": "x",
            "symbols": ["AUSDT"],
            "since": [_utc(START_MS - 1440 * MINUTE_MS)],
            "earliest": _utc(START_MS - 1440 * MINUTE_MS),
            "until": _utc(START_MS + MINUTE_MS),
        }
        rows = await (
            await connection.execute("EXPLAIN (SUMMARY) " + query("candles", "holes"), parameters)
        ).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert 1 <= plan.count(" on _hyper_") <= 2, plan
    assert float(plan.split("Planning Time: ")[1].split(" ms")[0]) < 1000


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
