"""``marketd import`` from a database as tradecat leaves it: real rows, bad rows, a stop on the way."""

from __future__ import annotations

import asyncio
import csv
import gzip
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from src.adapters.timescale.foreign import ForeignDatabase, foreign_options
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.store import CandleStore
from src.adapters.timescale.takeovers import Takeovers
from src.cli import main
from src.collectors.takeover import Scope, Takeover
from src.errors import EXIT_CONFIG, BadData, Unavailable
from src.model import Candle, Dataset, Gap, WriteResult
from tests.support.templates import Templates

from .ledgers import EXCHANGE, Books

_TABLE = """
CREATE SCHEMA market_data;
CREATE TABLE market_data.candles_1m (
    exchange text, symbol text, bucket_ts timestamptz, open numeric(38,12), high numeric(38,12), low numeric(38,12),
    close numeric(38,12), volume numeric(38,12), quote_volume numeric(38,12), trade_count bigint, is_closed boolean,
    source text, ingested_at timestamptz, updated_at timestamptz, taker_buy_volume numeric(38,12),
    taker_buy_quote_volume numeric(38,12), PRIMARY KEY (exchange, symbol, bucket_ts)
)
"""
_ADD = (
    "INSERT INTO market_data.candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume,"
    " trade_count, taker_buy_volume, taker_buy_quote_volume, is_closed, source)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'ccxt')"
)


@pytest.fixture
def tradecat(database_templates: Templates) -> Iterator[str]:
    """A database with the table of tradecat, empty."""
    with database_templates.clone(database_templates.empty()) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_TABLE)
        yield url


@pytest.fixture
def books(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    monkeypatch.setenv("DATABASE_URL", database)
    ledger = Books(database)
    yield ledger
    ledger.close()


def fill(url: str, rows: list[tuple[Any, ...]]) -> None:
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.executemany(_ADD, rows)


def minute(
    symbol: str, ts: datetime, close: object = 1, *, closed: bool = True, exchange: str = EXCHANGE
) -> tuple[Any, ...]:
    return (exchange, symbol, ts, 1, 2, 1, close, 5, 5, 3, 1, 1, closed)


def stored(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT symbol, bucket_ts AT TIME ZONE 'UTC', open, high, low, close, volume, quote_volume, trade_count,"
            " taker_buy_volume, taker_buy_quote_volume FROM market_data.candles_1m"
            ' ORDER BY symbol COLLATE "C", bucket_ts'
        ).fetchall()


def test_real_days_come_over_digit_for_digit(
    books: Books, database: str, tradecat: str, market_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with gzip.open(market_data / "klines_1m" / "DOTUSDT-1m-2025-11.csv.gz", "rt") as file:
        lines = list(csv.reader(file))[1:3001]
    rows, expected = [], []
    for line in lines:
        ts = datetime.fromtimestamp(int(line[0]) / 1000, UTC)
        values = [line[1], line[2], line[3], line[4], line[5], line[7], line[8], line[9], line[10]]
        rows.append((EXCHANGE, "DOTUSDT", ts, *values, True))
        numbers = [int(value) if index == 6 else float(value) for index, value in enumerate(values)]
        expected.append(("DOTUSDT", ts.replace(tzinfo=None), *numbers))
    fill(tradecat, rows)
    books.list("DOTUSDT", datetime(2020, 8, 22, tzinfo=UTC))
    assert main(["import", "--from-dsn", tradecat, "--dry-run"]) == 0
    assert "rows     3,000 at most" in capsys.readouterr().out
    assert stored(database) == []
    assert main(["import", "--from-dsn", tradecat]) == 0
    assert "stored     3,000 new" in capsys.readouterr().out
    assert stored(database) == expected
    assert main(["import", "--from-dsn", tradecat]) == 0
    out = capsys.readouterr().out
    assert "stored     0 new" in out
    assert "known      3,000" in out


def test_what_is_refused_is_counted_and_better_rows_stay(
    books: Books, database: str, tradecat: str, capsys: pytest.CaptureFixture[str]
) -> None:
    start = datetime(2026, 1, 5, tzinfo=UTC)
    books.list("BTCUSDT", start.replace(day=1))
    books.candles("BTCUSDT", start, start.replace(minute=1))
    fill(
        tradecat,
        [
            minute("BTCUSDT", start, close=2),
            minute("BTCUSDT", start.replace(minute=1)),
            minute("BTCUSDT", start.replace(minute=2), closed=False),
            minute("BTCUSDT", start.replace(minute=3), close="NaN"),
            minute("BTCUSDT", start.replace(minute=4), close=9),
            minute("BTCUSDT", start.replace(minute=5), exchange="binance_spot"),
            minute("BTCUSDT", start.replace(minute=6, second=30)),
            minute("BTCUSDT", start.replace(year=2025)),
            minute("OTHERUSDT", start),
        ],
    )
    assert main(["import", "--from-dsn", tradecat]) == 0
    out = capsys.readouterr().out
    report = dict(line.strip().split(maxsplit=1) for line in out.splitlines())
    assert report["rows"] == "read          8"
    assert report["stored"] == "1 new, 0 in place of rows that knew less"
    assert report["known"].startswith("1 that ")
    assert report["refused"] == "6"
    assert {name: int(report[name].split(",")[0]) for name in list(report)[7:]} == {
        "outside_listing": 2,
        "still_open": 1,
        "not_a_minute": 1,
        "price": 2,
    }
    assert "such as BTCUSDT" in report["price"]
    assert [(row[1].minute, row[5]) for row in stored(database)] == [(0, 1.0), (1, 1.0)]


def test_our_own_tables_and_strangers_are_refused(
    books: Books, database: str, empty_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    books.list("BTCUSDT", datetime(2026, 1, 1, tzinfo=UTC))
    assert main(["import", "--from-dsn", database]) == EXIT_CONFIG
    assert "market_data.candles_1m (marketd's own)" in capsys.readouterr().err
    assert main(["import", "--from-dsn", empty_database]) == EXIT_CONFIG
    assert "found: none by that name" in capsys.readouterr().err
    assert main(["import", "--from-dsn", "postgresql://me:secret@[half"]) == EXIT_CONFIG
    err = capsys.readouterr().err
    assert "--from-dsn: is not a PostgreSQL connection string" in err
    assert "secret" not in err


def test_without_listings_nothing_can_be_judged(
    books: Books, tradecat: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "--from-dsn", tradecat]) == EXIT_CONFIG
    assert "no listing is known yet" in capsys.readouterr().err


class Stopping(CandleStore):
    """A store whose database goes away after so many writes."""

    writes_left = 10**9

    async def write(self, candles: Any, gaps: Any) -> WriteResult:
        if not self.writes_left:
            raise Unavailable("away")
        self.writes_left -= 1
        return await super().write(candles, gaps)


@pytest.fixture
async def store(database: str) -> AsyncIterator[Stopping]:
    store = Stopping(DatabaseOptions(database, role="import"))
    await store.open()
    yield store
    await store.close()


async def test_stopped_it_goes_on_with_the_next_month(
    books: Books, database: str, tradecat: str, store: Stopping
) -> None:
    days = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 6)]
    await asyncio.to_thread(fill, tradecat, [minute("BTCUSDT", day) for day in days])
    books.list("BTCUSDT", datetime(2025, 12, 1, tzinfo=UTC))
    options = DatabaseOptions(database, role="import")
    foreign = ForeignDatabase(foreign_options(tradecat, options))
    notes = Takeovers(options, Dataset.CANDLES, "elsewhere")
    scope = Scope(lambda _: True, 0, 4_000_000_000_000)
    await foreign.open()
    try:
        store.writes_left = 3
        first = Takeover(foreign, store, notes, await notes.listings())
        with pytest.raises(Unavailable):
            await first.run(scope)
        assert first.progress.months_done == 3
        assert len(await notes.done()) == 3
        store.writes_left = 10
        second = Takeover(foreign, store, notes, await notes.listings())
        done = await second.run(scope)
        assert (done.months_known, done.months_done, done.inserted) == (3, 2, 2)
        # The month in which the table ends is not noted: it may still grow.
        assert {month.month for _, month in await notes.done()} == {1, 2, 3, 4}
    finally:
        await foreign.close()
        await notes.close()


class Grudging:
    """A sink that refuses one minute, as a CHECK would."""

    def __init__(self, bad_ms: int) -> None:
        self.bad_ms = bad_ms
        self.stored: list[Candle] = []

    async def open(self) -> None: ...

    async def write(self, candles: Sequence[Candle], gaps: Sequence[Gap]) -> WriteResult:
        if any(candle.open_ms == self.bad_ms for candle in candles):
            raise BadData("no", reason="constraint")
        self.stored += candles
        return WriteResult(len(candles), 0, 0)

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None: ...

    async def close(self) -> None: ...


async def test_a_row_that_the_database_refuses_stands_alone(
    books: Books, database: str, tradecat: str
) -> None:
    start = datetime(2026, 1, 5, tzinfo=UTC)
    await asyncio.to_thread(
        fill, tradecat, [minute("BTCUSDT", start.replace(minute=number)) for number in range(50)]
    )
    books.list("BTCUSDT", datetime(2025, 12, 1, tzinfo=UTC))
    options = DatabaseOptions(database, role="import")
    foreign, notes = (
        ForeignDatabase(foreign_options(tradecat, options)),
        Takeovers(options, Dataset.CANDLES, "x"),
    )
    await foreign.open()
    try:
        sink = Grudging(int(start.replace(minute=17).timestamp() * 1000))
        done = await Takeover(foreign, sink, notes, await notes.listings()).run(
            Scope(lambda _: True, 0, 4_000_000_000_000)
        )
    finally:
        await foreign.close()
        await notes.close()
    assert dict(done.refused) == {"constraint": 1}
    assert len(sink.stored) == 49
    assert done.rows_read == 50
