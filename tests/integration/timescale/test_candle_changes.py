"""Whatever happens to candles behind the bars made of them is in ``candle_changes``, and nothing else is."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.adapters.timescale.ledger.days import day_of
from src.adapters.timescale.ledger.ledger import CoverageStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.model import MINUTE_MS, Authority, Candle, Dataset, floor_minute

from .helpers import CANDLE, START_MS, fetch, minutes, opened

DAY_START_MS = START_MS // 86_400_000 * 86_400_000


async def changes(url: str) -> list[tuple[Any, ...]]:
    """(symbol, first minute, minute after the last) of every change, in order of coming; then there are none."""
    return await fetch(
        url,
        "WITH taken AS (DELETE FROM candle_changes RETURNING *)"
        " SELECT symbol, (extract(epoch FROM from_ts) * 1000)::bigint, (extract(epoch FROM to_ts) * 1000)::bigint"
        " FROM taken ORDER BY id",
    )


def now_ms() -> int:
    return floor_minute(time.time_ns() // 1_000_000)


async def test_live_rows_are_no_changes_and_late_ones_are(database: str) -> None:
    """Both statements of the writer: the guarded one at first, the plain one for what is newer (ADR 0034)."""
    live = [replace(CANDLE, open_ms=now_ms() + n * MINUTE_MS) for n in (-2, -1)]
    async with opened(database) as store:
        for candle in live:
            await store.write([candle], [])
        assert await changes(database) == []
        for candle in minutes(3, "LATEUSDT"):
            await store.write([candle], [])
        await store.write(minutes(5, "LATEUSDT"), [])
    assert await changes(database) == [
        ("LATEUSDT", START_MS + minute * MINUTE_MS, START_MS + until * MINUTE_MS)
        for minute, until in ((0, 1), (1, 2), (2, 3), (3, 5))
    ]


async def test_a_replaced_row_is_a_change_and_a_confirmed_one_is_not(database: str) -> None:
    live = replace(CANDLE, open_ms=now_ms() - 3 * MINUTE_MS)
    async with opened(database) as store:
        await store.write([live], [])
        await store.write([replace(live, authority=Authority.ARCHIVE)], [])
        assert await changes(database) == []
        await store.write([replace(live, authority=Authority.ARCHIVE, revision=1, close=live.low)], [])
    assert await changes(database) == [("BTCUSDT", live.open_ms, live.open_ms + MINUTE_MS)]


async def test_deleting_and_emptying_are_changes(database: str) -> None:
    async with opened(database) as store:
        await store.write(minutes(5), [])
    await changes(database)
    gone = START_MS + 2 * MINUTE_MS
    await fetch(database, "DELETE FROM candles_1m WHERE bucket_ts >= to_timestamp(%s)", [gone // 1000])
    assert await changes(database) == [("BTCUSDT", gone, START_MS + 5 * MINUTE_MS)]
    await fetch(database, "TRUNCATE candles_1m")
    assert await changes(database) == [("BTCUSDT", DAY_START_MS, DAY_START_MS + 86_400_000)]


async def test_what_came_around_the_program_is_a_change_when_it_is_counted(database: str) -> None:
    async with opened(database) as store:
        await store.write(minutes(2), [])
    await fetch(
        database,
        "INSERT INTO candles_1m SELECT exchange, symbol, bucket_ts + interval '1 hour', open, high, low, close, volume,"
        " quote_volume, trade_count, taker_buy_volume, taker_buy_quote_volume, ingested_at, updated_at, revision,"
        " authority, is_closed, source FROM candles_1m",
    )
    await changes(database)
    day = [("BTCUSDT", day_of(START_MS))]
    session = SharedSession(DatabaseOptions(database), purpose="audit")
    ledger = CoverageStore(session)
    assert len(await ledger.count(Dataset.CANDLES, day)) == 1
    assert await changes(database) == [("BTCUSDT", DAY_START_MS, DAY_START_MS + 86_400_000)]
    assert await ledger.count(Dataset.CANDLES, day) == []
    assert await changes(database) == []
    await session.close()


written = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["AUSDT", "币安人生USDT"]), st.integers(-5, 5), st.integers(1, 3)),
        min_size=1,
        max_size=8,
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=written)
async def test_every_row_that_is_not_as_it_was_lies_in_a_change(
    database: str, batches: list[list[tuple[str, int, int]]]
) -> None:
    """Old rows, around midnight, in any order and repetition."""
    async with opened(database) as store:
        for batch in batches:
            before = await rows(database)
            await store.write([candle(*one) for one in batch], [])
            ranges = await changes(database)
            for symbol, open_ms, *_ in set(await rows(database)) ^ set(before):
                assert any(of == symbol and start <= open_ms < end for of, start, end in ranges)
            if set(await rows(database)) == set(before):
                assert ranges == []
    await fetch(database, "TRUNCATE candles_1m, coverage_days")
    await changes(database)


def candle(symbol: str, minute: int, trades: int) -> Candle:
    """A candle ``minute`` minutes after a midnight; more trades win."""
    return replace(CANDLE, symbol=symbol, open_ms=DAY_START_MS + minute * MINUTE_MS, trade_count=trades)


async def rows(url: str) -> list[tuple[Any, ...]]:
    return await fetch(
        url, "SELECT symbol, (extract(epoch FROM bucket_ts) * 1000)::bigint, trade_count FROM candles_1m"
    )
