"""Retention of trades: whole chunks go, and reach and gaps say what is there then, as a set of ids does."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.adapters.timescale.history.expiry import Expiry
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.trades.store import TradeStore
from src.errors import BadData
from src.model import DAY_MS, FIRST_LISTING_MS, Dataset, Expired, Trade

from .helpers import fetch, listed

WEEK_MS = 7 * DAY_MS
BASE_MS = int(datetime(2025, 1, 2, tzinfo=UTC).timestamp()) * 1000
"""The first instant of a chunk."""
A_WEEK = 10
"""Ids of a week: the trade ``n`` is traded at the beginning of tenth ``n``."""


@pytest.fixture
async def store(database: str) -> AsyncIterator[TradeStore]:
    session = SharedSession(DatabaseOptions(database), purpose="trades")
    yield TradeStore(session)
    await session.close()


def trades(symbol: str, *numbers: int) -> list[Trade]:
    return [
        Trade(symbol, number, BASE_MS + number * WEEK_MS // A_WEEK, 1.0, 1.0, False) for number in numbers
    ]


async def expired(url: str, before_ms: int) -> Expired:
    done = await Expiry(DatabaseOptions(url)).expire(before_ms)
    (found,) = (item for item in done if item.dataset is Dataset.TRADES)
    return found


async def missing(url: str, symbol: str) -> list[tuple[int, int]]:
    rows = await fetch(
        url,
        "SELECT first_id, last_id FROM trade_gaps WHERE symbol = %s AND state = 'open' ORDER BY first_id",
        [symbol],
    )
    return [(first, last) for first, last in rows]


async def ids(url: str, symbol: str) -> list[int]:
    rows = await fetch(url, "SELECT trade_id FROM agg_trades WHERE symbol = %s ORDER BY 1", [symbol])
    return [number for (number,) in rows]


async def test_chunks_go_and_the_reach_moves_behind_them(store: TradeStore, database: str) -> None:
    await store.write([*trades("A", 1, 2, 5, 8, 13, 14, 27), *trades("B", 25, 26)])
    assert await expired(database, BASE_MS + WEEK_MS * 3 // 2) == Expired(Dataset.TRADES, 1, 1, 4)
    assert await ids(database, "A") == [13, 14, 27]
    reach = await store.reach()
    one, other = (reach[symbol, FIRST_LISTING_MS] for symbol in ("A", "B"))
    assert (one.first_id, one.first_ms) == (13, trades("A", 13)[0].ts_ms)
    assert (other.first_id, other.last_id) == (25, 26)
    assert await missing(database, "A") == [(15, 26)]
    assert await expired(database, BASE_MS + WEEK_MS * 3 // 2) == Expired(Dataset.TRADES, 0, 0, 0)


async def test_where_nothing_is_left_the_last_id_is_remembered(store: TradeStore, database: str) -> None:
    await store.write(trades("A", 1, 2, 3))
    assert await expired(database, BASE_MS + 2 * WEEK_MS) == Expired(Dataset.TRADES, 1, 1, 3)
    assert (await store.write(trades("A", 50, 51))).gaps == 46
    assert await missing(database, "A") == [(4, 49)]
    assert (await store.write(trades("A", 4, 5))).inserted == 2
    assert await missing(database, "A") == [(6, 49)]


async def test_each_listing_is_accounted_for_by_itself(store: TradeStore, database: str) -> None:
    """The first two weeks are one contract, what comes later another with the same ids."""
    cut_ms = BASE_MS + 2 * WEEK_MS
    await listed(database, "A", BASE_MS, cut_ms)
    again = [replace(trade, ts_ms=trade.ts_ms + 2 * WEEK_MS) for trade in trades("A", 3, 4, 7, 11, 12)]
    await store.write([*trades("A", 1, 4, 12, 15), *again])
    assert await expired(database, BASE_MS + WEEK_MS) == Expired(Dataset.TRADES, 1, 1, 2)
    reach = await store.reach()
    assert [(key[1], one.first_id, one.last_id) for key, one in reach.items()] == [
        (FIRST_LISTING_MS, 12, 15),
        (cut_ms, 3, 12),
    ]
    assert await missing(database, "A") == [(5, 6), (8, 10), (13, 14)]
    assert await expired(database, BASE_MS + 3 * WEEK_MS) == Expired(Dataset.TRADES, 2, 2, 5)
    reach = await store.reach()
    assert reach["A", FIRST_LISTING_MS].first_id == 16, "what comes next shows how much lies between"
    assert (reach["A", cut_ms].first_id, reach["A", cut_ms].last_id) == (11, 12)
    assert await missing(database, "A") == []


async def test_the_last_seven_days_are_refused(database: str) -> None:
    with pytest.raises(BadData, match="seven days"):
        await Expiry(DatabaseOptions(database)).expire(int(datetime.now(UTC).timestamp() * 1000))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.sets(st.integers(0, 39), min_size=1, max_size=15),
    weeks=st.integers(0, 5),
    later=st.sets(st.integers(40, 60), max_size=5),
)
async def test_what_is_said_to_be_there_is_there(
    store: TradeStore, database: str, first: set[int], weeks: int, later: set[int]
) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute(
            "TRUNCATE market_data.agg_trades, market_data.trade_reach, market_data.trade_gaps"
        )
    await store.write(trades("A", *first))
    done = await expired(database, BASE_MS + weeks * WEEK_MS)
    left = {number for number in first if number >= weeks * A_WEEK}
    assert done.rows == len(first) - len(left)
    if later:
        await store.write(trades("A", *later))
    there = sorted(left | later)
    assert await ids(database, "A") == there
    gaps = [(low + 1, high - 1) for low, high in itertools.pairwise(there) if high - low > 1]
    if not left and later and max(first) + 1 < min(later):
        gaps.insert(0, (max(first) + 1, min(later) - 1))
    assert await missing(database, "A") == gaps
