"""Trades in the real database: one row an id, and the ids that are missing are exactly those the gaps say."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.adapters.timescale.metrics.archive_lines import Line, note
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.trades.store import TradeStore
from src.errors import BadData
from src.model import DAY_MS, FIRST_LISTING_MS, ArchiveFile, Dataset, Span, Trade, TradeResult

from .helpers import fetch

MIDNIGHT_MS = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1000
LONG_AGO_MS = 0


@pytest.fixture
async def session(database: str) -> AsyncIterator[SharedSession]:
    session = SharedSession(DatabaseOptions(database), purpose="trades")
    yield session
    await session.close()


@pytest.fixture
def store(session: SharedSession) -> TradeStore:
    return TradeStore(session)


def trade(number: int, symbol: str = "BTCUSDT", **changes: Any) -> Trade:
    """One trade a second from midnight on, number 0 at midnight."""
    made = Trade(symbol, number, MIDNIGHT_MS + number * 1000 + 7, 100.0 + number, 0.5, number % 2 == 0)
    return replace(made, **changes)


def trades(*numbers: int | range, symbol: str = "BTCUSDT") -> list[Trade]:
    found: Iterable[int] = itertools.chain.from_iterable(
        [number] if isinstance(number, int) else number for number in numbers
    )
    return [trade(number, symbol) for number in found]


async def missing(url: str, symbol: str = "BTCUSDT") -> list[tuple[int, int, str]]:
    return [
        (int(first), int(last), str(state))
        for first, last, state in await fetch(
            url,
            "SELECT first_id, last_id, state FROM trade_gaps WHERE symbol = %s AND state <> 'filled' ORDER BY 1",
            [symbol],
        )
    ]


async def stored(url: str, symbol: str = "BTCUSDT") -> list[Trade]:
    rows = await fetch(
        url,
        "SELECT symbol, trade_id, (extract(epoch FROM ts) * 1000)::bigint, price, quantity, is_buyer_maker"
        " FROM agg_trades WHERE symbol = %s ORDER BY trade_id",
        [symbol],
    )
    return [Trade(*row) for row in rows]


async def test_what_is_counted_is_stored_and_the_same_again_changes_nothing(
    store: TradeStore, database: str
) -> None:
    given_trades = trades(range(10, 14), symbol="币安人生USDT") + trades(5, 6)
    assert await store.write([*given_trades, given_trades[0]]) == TradeResult(6, 1)
    assert await stored(database, "币安人生USDT") == given_trades[:4]
    assert await stored(database) == trades(5, 6)
    assert await store.write(given_trades) == TradeResult(0, 6)
    assert await store.write([]) == TradeResult(0, 0)
    assert await missing(database) == []
    reach = await store.reach()
    found = reach["BTCUSDT", FIRST_LISTING_MS]
    assert (found.first_id, found.last_ms) == (5, trade(6).ts_ms)


async def test_a_gap_is_found_shrinks_breaks_in_two_and_is_filled(store: TradeStore, database: str) -> None:
    assert (await store.write(trades(range(3), range(10, 13)))).gaps == 7
    assert await missing(database) == [(3, 9, "open")]
    assert (await store.write(trades(3, 6))).gaps == 3
    assert await missing(database) == [(4, 5, "open"), (7, 9, "open")]
    assert await store.watermark(LONG_AGO_MS) == {"BTCUSDT": (3, trade(3).ts_ms)}
    gaps = await store.open_gaps(["BTCUSDT"], MIDNIGHT_MS, 10)
    assert [(gap.first_id, gap.ids, gap.after_ms, gap.before_ms) for gap in gaps] == [
        (7, 3, trade(6).ts_ms, trade(10).ts_ms),
        (4, 2, trade(3).ts_ms, trade(6).ts_ms),
    ]
    await store.write(trades(range(4, 10)))
    assert await missing(database) == []
    assert await store.watermark(LONG_AGO_MS) == {"BTCUSDT": (12, trade(12).ts_ms)}
    assert await stored(database) == trades(range(13))


async def test_what_comes_before_and_after_is_apart_by_gaps(store: TradeStore, database: str) -> None:
    await store.write(trades(range(20, 23)))
    await store.write(trades(range(10, 12)))
    await store.write(trades(range(30, 31)))
    assert await missing(database) == [(12, 19, "open"), (23, 29, "open")]
    assert await store.watermark(trade(20).ts_ms) == {"BTCUSDT": (22, trade(22).ts_ms)}
    assert await store.watermark(trade(30).ts_ms) == {"BTCUSDT": (30, trade(30).ts_ms)}


async def test_a_trade_that_says_something_else_is_kept_aside(store: TradeStore, database: str) -> None:
    await store.write(trades(range(3)))
    again = [trade(0), trade(1, price=7.0), trade(2, ts_ms=trade(2).ts_ms + 1), trade(3)]
    assert await store.write(again) == TradeResult(1, 3, (again[1], again[2]))
    assert await stored(database) == trades(range(4))
    rows = await fetch(
        database, "SELECT reason, symbol, open_ms, times_seen FROM rejected_rows ORDER BY open_ms"
    )
    assert rows == [("trade_differs", "BTCUSDT", row.ts_ms, 1) for row in (again[1], again[2])]


@pytest.mark.parametrize("change", [{"price": 0.0}, {"price": float("nan")}, {"quantity": float("inf")}])
async def test_what_cannot_be_a_trade_is_refused_and_leaves_nothing(
    store: TradeStore, database: str, change: dict[str, Any]
) -> None:
    with pytest.raises(BadData):
        await store.write([trade(1), trade(2, **change)])
    assert await stored(database) == []
    assert await store.reach() == {}


async def test_two_sessions_take_in_one_symbol_one_after_the_other(database: str) -> None:
    stores = [TradeStore(SharedSession(DatabaseOptions(database), purpose="trades")) for _ in range(3)]
    batches = [trades(range(start, start + 60)) for start in range(0, 400, 20)]
    results = await asyncio.gather(*(stores[at % 3].write(batch) for at, batch in enumerate(batches)))
    assert sum(result.inserted for result in results) == 440
    assert await stored(database) == trades(range(440))
    assert await missing(database) == []
    for one in stores:
        await one.close()


async def test_spot_and_futures_do_not_know_each_other(store: TradeStore, database: str) -> None:
    spot = TradeStore(SharedSession(DatabaseOptions(database, exchange="binance_spot"), purpose="trades"))
    assert (await store.write(trades(1, 2))).inserted == (await spot.write(trades(1, 2))).inserted == 2
    await spot.close()


async def test_a_gap_is_asked_for_again_later_and_later(store: TradeStore) -> None:
    await store.write(trades(1, 3))
    now_ms = MIDNIGHT_MS + DAY_MS
    waits = []
    for _ in range(8):
        (gap,) = await store.open_gaps(["BTCUSDT"], now_ms, 10)
        await store.asked(gap, now_ms)
        due = [minutes for minutes in (1, 2, 4, 8, 16, 32, 60) if await _is_due(store, now_ms, minutes)]
        step = min(due)
        waits.append(step)
        now_ms += step * 60_000
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    await store.write(trades(1, 5))
    assert len(await store.open_gaps(["BTCUSDT"], MIDNIGHT_MS, 10)) == 1, "a new gap is due at once"


async def _is_due(store: TradeStore, now_ms: int, minutes: int) -> bool:
    return bool(await store.open_gaps(["BTCUSDT"], now_ms + minutes * 60_000, 10))


async def test_gaps_of_a_past_that_is_not_collected_are_left(store: TradeStore, database: str) -> None:
    await store.write(trades(range(3), 10, 20))
    assert await store.settle(["BTCUSDT"], trade(10).ts_ms) == 0
    assert await missing(database) == [(3, 9, "left"), (11, 19, "open")]
    assert await store.watermark(LONG_AGO_MS) == {"BTCUSDT": (10, trade(10).ts_ms)}
    await store.settle(["BTCUSDT"], trade(10).ts_ms - 1)
    assert await missing(database) == [(3, 9, "open"), (11, 19, "open")]
    await store.settle(["BTCUSDT"], trade(20).ts_ms)
    await store.write(trades(4))
    assert await missing(database) == [(3, 3, "left"), (5, 9, "left"), (11, 19, "left")]


async def test_what_imported_files_lack_is_absent_and_taken_when_it_turns_up(
    store: TradeStore, session: SharedSession, database: str
) -> None:
    last = DAY_MS // 1000 - 2
    await store.write(trades(0, last, last + 4))
    await _noted(session, date(2026, 3, 1), Span.DAILY)
    assert await store.settle(["BTCUSDT"], LONG_AGO_MS) == 1
    assert await missing(database) == [(1, last - 1, "absent"), (last + 1, last + 3, "open")]
    assert await store.watermark(LONG_AGO_MS) == {"BTCUSDT": (last, trade(last).ts_ms)}
    await _noted(session, date(2026, 3, 1), Span.MONTHLY)
    assert await store.settle(["BTCUSDT"], LONG_AGO_MS) == 0, "a month may lack what the file of the day has"
    await _noted(session, date(2026, 3, 2), Span.DAILY, "missing")
    assert await store.settle(["BTCUSDT"], LONG_AGO_MS) == 1, "the gap that touches the next day"
    assert (await store.write(trades(2))).inserted == 1
    assert await missing(database) == [
        (1, 1, "absent"),
        (3, last - 1, "absent"),
        (last + 1, last + 3, "absent"),
    ]


@pytest.mark.parametrize("state", ["missing", "quarantined"])
async def test_a_day_without_a_usable_file_after_a_week_is_proved_by_its_month(
    store: TradeStore, session: SharedSession, database: str, state: str
) -> None:
    """Files come the next morning, and their checksums later; but what stays so holds nothing back for ever."""
    day = date(2026, 3, 1)
    await store.write(trades(1, 3))
    for span, said in ((Span.MONTHLY, "imported"), (Span.DAILY, state)):
        await _noted(session, day, span, said)
    for asked, proved in (("2026-03-02 01:00Z", 0), ("2026-03-09 01:00Z", 1)):
        await fetch(database, "UPDATE archive_files SET checked_at = %s", [asked])
        assert await store.settle(["BTCUSDT"], LONG_AGO_MS) == proved


async def _noted(session: SharedSession, day: date, span: Span, state: str = "imported") -> None:
    file = ArchiveFile(f"{span}/BTCUSDT/{day}.zip", Dataset.TRADES, "BTCUSDT", span, day)
    await session.call(
        lambda connection: note(connection, session.exchange, file, Line(state, "a" * 64, 1, 1, 0))
    )


BATCHES = st.lists(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["A", "B"])), min_size=1, max_size=12),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=BATCHES)
async def test_in_any_order_gaps_and_rows_are_what_a_set_of_ids_says(
    store: TradeStore, database: str, batches: list[list[tuple[int, str]]]
) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute(
            "TRUNCATE market_data.agg_trades, market_data.trade_reach, market_data.trade_gaps"
        )
    there: dict[str, set[int]] = {"A": set(), "B": set()}
    for batch in batches:
        result = await store.write([trade(number, symbol) for number, symbol in batch])
        before = sum(map(len, there.values()))
        for number, symbol in batch:
            there[symbol].add(number)
        assert result.inserted == sum(map(len, there.values())) - before
        assert result.inserted + result.unchanged == len(batch)
    for symbol, ids in there.items():
        assert [row.trade_id for row in await stored(database, symbol)] == sorted(ids)
        gaps = [pair for pair in itertools.pairwise(sorted(ids)) if pair[1] - pair[0] > 1]
        assert await _gaps_with_times(database, symbol) == [
            (low + 1, high - 1, trade(low).ts_ms, trade(high).ts_ms) for low, high in gaps
        ]
    closed = {
        symbol: next(number for number in sorted(ids) if number + 1 not in ids)
        for symbol, ids in there.items()
        if ids
    }
    assert await store.watermark(LONG_AGO_MS) == {
        symbol: (number, trade(number).ts_ms) for symbol, number in closed.items()
    }


async def _gaps_with_times(url: str, symbol: str) -> list[tuple[Any, ...]]:
    return await fetch(
        url,
        "SELECT first_id, last_id, (extract(epoch FROM after_ts) * 1000)::bigint,"
        " (extract(epoch FROM before_ts) * 1000)::bigint"
        " FROM trade_gaps WHERE symbol = %s AND state = 'open' ORDER BY 1",
        [symbol],
    )
