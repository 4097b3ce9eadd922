"""Whatever writes and deletes candles, and in whatever order: the ledger's ``have`` is the number of rows there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.model import DAY_MS, MINUTE_MS, Authority, Candle, WriteResult

from .helpers import CANDLE, START_MS, fetch, opened

MIDNIGHT_MS = START_MS // DAY_MS * DAY_MS
DAY = datetime.fromtimestamp(MIDNIGHT_MS / 1000, UTC).date()


def candle(symbol: str, minute: int, trades: int = 1) -> Candle:
    """A candle ``minute`` minutes after the last midnight; more trades win."""
    return replace(CANDLE, symbol=symbol, open_ms=MIDNIGHT_MS + minute * MINUTE_MS, trade_count=trades)


async def counted(url: str) -> list[tuple[object, ...]]:
    """(symbol, day, rows there, rows the ledger knows of), where the two differ."""
    return await fetch(
        url,
        "SELECT * FROM (SELECT symbol, bucket_ts::date AS day, count(*) AS rows FROM candles_1m GROUP BY 1, 2) AS rows"
        " FULL JOIN (SELECT symbol, day, have FROM coverage_days WHERE dataset = 'candles_1m') AS lines"
        " USING (symbol, day) WHERE coalesce(rows, 0) IS DISTINCT FROM coalesce(have, 0)",
    )


writes = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["AUSDT", "BUSDT", "aUSDT", "币安人生USDT"]),
            st.integers(-4, 4),
            st.integers(1, 3),
        ),
        min_size=1,
        max_size=12,
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(work=st.lists(writes, min_size=6, max_size=6))
async def test_six_writers_at_once_count_exactly(
    database: str, work: list[list[list[tuple[str, int, int]]]]
) -> None:
    async def writer(number: int, batches: Sequence[Sequence[tuple[str, int, int]]]) -> int:
        inserted = 0
        async with opened(database, role=f"writer{number}") as store:
            for batch in batches:
                result = await store.write([candle(*row) for row in batch], [])
                inserted += result.inserted
        return inserted

    before = await fetch(database, "SELECT count(*) FROM candles_1m")
    inserted = await asyncio.gather(*(writer(number, batches) for number, batches in enumerate(work)))
    assert await counted(database) == []
    assert await fetch(database, "SELECT count(*) FROM candles_1m") == [(before[0][0] + sum(inserted),)]


async def test_a_commit_moves_rows_and_line_together(database: str) -> None:
    async with opened(database) as store:
        assert await store.write([candle("AUSDT", minute) for minute in (-1, 0, 1)], []) == WriteResult(
            3, 0, 0
        )
        assert await store.write([candle("AUSDT", minute, 2) for minute in (1, 2)], []) == WriteResult(
            1, 1, 0
        )
    lines = await fetch(
        database, "SELECT exchange, dataset, symbol, day, have FROM coverage_days ORDER BY day"
    )
    assert lines == [
        ("binance_futures_um", "candles_1m", "AUSDT", DAY - timedelta(days=1), 1),
        ("binance_futures_um", "candles_1m", "AUSDT", DAY, 3),
    ]


async def test_a_row_that_turns_up_takes_its_absence_back(database: str) -> None:
    await fetch(
        database,
        "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, absent)"
        " VALUES ('binance_futures_um', 'candles_1m', 'AUSDT', %s, 1440, 2)",
        [DAY],
    )
    await fetch(
        database,
        "INSERT INTO absent_minutes (exchange, dataset, symbol, ts, archive_path, archive_sha256, rest_asked_at,"
        " next_ask_at) SELECT 'binance_futures_um', 'candles_1m', 'AUSDT', %s::date + n * interval '1 minute', 'p',"
        " 's', now(), now() FROM generate_series(5, 6) AS n",
        [DAY],
    )
    async with opened(database) as store:
        await store.write([candle("AUSDT", 5), candle("AUSDT", 7), candle("BUSDT", 6)], [])
        await store.write([candle("AUSDT", 5), candle("AUSDT", 5, 9)], [])
    assert await fetch(database, "SELECT have, absent FROM coverage_days WHERE symbol = 'AUSDT'") == [(2, 1)]
    left = await fetch(database, "SELECT ts::time::text FROM absent_minutes WHERE found_at IS NULL")
    assert left == [("00:06:00",)]


async def test_an_overwrite_is_not_counted(database: str) -> None:
    async with opened(database) as store:
        await store.write([candle("AUSDT", 0)], [])
        await store.write([replace(candle("AUSDT", 0, 7), authority=Authority.ARCHIVE)], [])
    assert await fetch(database, "SELECT have FROM coverage_days") == [(1,)]


async def test_deleting_makes_exactly_the_touched_days_dirty(database: str) -> None:
    async with opened(database) as store:
        await store.write(
            [candle(symbol, minute) for symbol in ("AUSDT", "BUSDT") for minute in (-1, 0, 1)], []
        )
    await fetch(database, "DELETE FROM candles_1m WHERE symbol = 'AUSDT' AND bucket_ts >= %s", [DAY])
    assert await fetch(database, "SELECT symbol, day FROM coverage_days WHERE dirty") == [("AUSDT", DAY)]
    assert await fetch(database, "SELECT state FROM coverage_days WHERE dirty") == [("dirty",)]


async def test_deleting_nothing_marks_nothing(database: str) -> None:
    async with opened(database) as store:
        await store.write([candle("AUSDT", 0)], [])
    await fetch(database, "DELETE FROM candles_1m WHERE symbol = 'BUSDT'")
    assert await fetch(database, "SELECT count(*) FROM coverage_days WHERE dirty") == [(0,)]


async def test_a_deletion_that_is_rolled_back_marks_nothing(database: str) -> None:
    async with opened(database) as store:
        await store.write([candle("AUSDT", 0)], [])
    with pytest.raises(psycopg.errors.DivisionByZero):
        await fetch(
            database,
            "WITH gone AS (DELETE FROM candles_1m RETURNING 1) SELECT 1 / (count(*) - count(*)) FROM gone",
        )
    assert await fetch(database, "SELECT dirty FROM coverage_days") == [(False,)]


async def test_emptying_the_table_marks_every_day(database: str) -> None:
    async with opened(database) as store:
        await store.write([candle("AUSDT", minute) for minute in (-1, 0)], [])
    await fetch(database, "TRUNCATE candles_1m")
    assert await fetch(database, "SELECT bool_and(dirty), count(*) FROM coverage_days") == [(True, 2)]


async def test_deleting_takes_the_files_of_the_touched_days_for_unread(database: str) -> None:
    """Else REST's word alone would make an absence of a minute that the file has."""
    async with opened(database) as store:
        await store.write([candle("AUSDT", minute) for minute in (-1, 0)], [])
    month, before = DAY.replace(day=1), DAY - timedelta(days=1)
    for symbol, span, first in (
        ("AUSDT", "daily", DAY),
        ("AUSDT", "daily", before),
        ("AUSDT", "monthly", month),
        ("BUSDT", "daily", DAY),
    ):
        await fetch(
            database,
            "INSERT INTO archive_files (exchange, path, dataset, symbol, span, first_day, state, sha256)"
            " VALUES ('binance_futures_um', %s, 'candles_1m', %s, %s, %s, 'imported', 'x')",
            [f"{symbol}/{span}/{first}", symbol, span, first],
        )
    await fetch(database, "UPDATE coverage_days SET verified_at = now()")
    await fetch(database, "DELETE FROM candles_1m WHERE bucket_ts >= %s", [DAY])
    unread = await fetch(database, "SELECT path FROM archive_files WHERE state = 'listed' ORDER BY path")
    assert unread == [(f"AUSDT/daily/{DAY}",), (f"AUSDT/monthly/{month}",)]
    assert await fetch(database, "SELECT day FROM coverage_days WHERE verified_at IS NULL") == [(DAY,)]
    await fetch(database, "TRUNCATE candles_1m")
    assert await fetch(database, "SELECT DISTINCT state FROM archive_files") == [("listed",)]
