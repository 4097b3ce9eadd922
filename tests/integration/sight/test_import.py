"""``marketd import`` from a database as tradecat leaves it: real rows, bad rows, a stop on the way."""

from __future__ import annotations

import asyncio
import csv
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.history.foreign import ForeignDatabase, foreign_options
from src.adapters.timescale.history.takeovers import Takeovers
from src.adapters.timescale.options import DatabaseOptions
from src.cli import main
from src.collectors.takeover import Scope, Takeover, judge_candle
from src.errors import EXIT_CONFIG, BadData, Unavailable
from src.model import Candle, Dataset, Listing, WriteResult
from src.ports import ForeignTable
from tests.support.templates import Templates

from .ledgers import EXCHANGE, Books, midnight

_TABLE = """
CREATE SCHEMA market_data;
CREATE TABLE market_data.candles_1m (
    exchange text, symbol text, bucket_ts timestamptz, open numeric(38,12), high numeric(38,12), low numeric(38,12),
    close numeric(38,12), volume numeric(38,12), quote_volume numeric(38,12), trade_count bigint, is_closed boolean,
    source text, ingested_at timestamptz, updated_at timestamptz, taker_buy_volume numeric(38,12),
    taker_buy_quote_volume numeric(38,12), PRIMARY KEY (exchange, symbol, bucket_ts)
)
"""
_METRICS = """
CREATE TABLE market_data.binance_futures_metrics_5m (
    create_time timestamp, symbol text, exchange text, sum_open_interest numeric, sum_open_interest_value numeric,
    count_toptrader_long_short_ratio numeric, sum_toptrader_long_short_ratio numeric, count_long_short_ratio numeric,
    sum_taker_long_short_vol_ratio numeric, source text, is_closed boolean, ingested_at timestamptz,
    updated_at timestamptz, PRIMARY KEY (symbol, create_time)
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
    assert main(["import", "--from-dsn", tradecat, "--symbols", "DOTUSDT,DOTUSTD"]) == 1
    assert "--symbols DOTUSTD: that database has no symbol called so" in capsys.readouterr().err
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


def test_what_retention_would_drop_is_not_taken_over(
    books: Books,
    database: str,
    tradecat: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    books.list("BTCUSDT", midnight(400))
    fill(tradecat, [minute("BTCUSDT", midnight(300)), minute("BTCUSDT", midnight(10))])
    monkeypatch.setenv("RETENTION_DAYS", "100")
    assert main(["import", "--from-dsn", tradecat, "--from", str(midnight(300).date())]) == EXIT_CONFIG
    assert "RETENTION_DAYS=100 drops what is before" in capsys.readouterr().err
    assert main(["import", "--from-dsn", tradecat]) == 0
    assert [row[1] for row in stored(database)] == [midnight(10).replace(tzinfo=None)]


def test_our_own_tables_and_strangers_are_refused(
    books: Books, database: str, empty_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    books.list("BTCUSDT", datetime(2026, 1, 1, tzinfo=UTC))
    assert main(["import", "--from-dsn", database]) == EXIT_CONFIG
    assert "market_data.candles_1m (marketd's own)" in capsys.readouterr().err
    assert main(["import", "--from-dsn", empty_database]) == EXIT_CONFIG
    assert "found: none by these names" in capsys.readouterr().err
    assert main(["import", "--from-dsn", "postgresql://me:secret@[half"]) == EXIT_CONFIG
    err = capsys.readouterr().err
    assert "--from-dsn: is not a PostgreSQL connection string" in err
    assert "secret" not in err


def test_without_listings_nothing_can_be_judged(
    books: Books, tradecat: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "--from-dsn", tradecat]) == EXIT_CONFIG
    assert "no listing is known yet" in capsys.readouterr().err


@dataclass(frozen=True, slots=True)
class Bench:
    """Another program's candles and our notes of them, open."""

    table: ForeignTable
    notes: Takeovers
    listings: dict[str, list[Listing]]

    def job(self, write: Callable[[Sequence[Candle]], Awaitable[WriteResult]]) -> Takeover[Candle]:
        return Takeover(self.table, judge_candle, write, self.notes, self.listings)


@pytest.fixture
async def bench(books: Books, database: str, tradecat: str) -> AsyncIterator[Bench]:
    books.list("BTCUSDT", datetime(2025, 12, 1, tzinfo=UTC))
    options = DatabaseOptions(database, role="import")
    foreign, notes = (
        ForeignDatabase(foreign_options(tradecat, options)),
        Takeovers(options, Dataset.CANDLES, "x"),
    )
    try:
        tables = await foreign.open()
        yield Bench(tables[Dataset.CANDLES], notes, await notes.listings())
    finally:
        await foreign.close()
        await notes.close()


ALL = Scope(lambda _: True, 0, 4_000_000_000_000)


async def test_stopped_it_goes_on_with_the_next_month(bench: Bench, tradecat: str, database: str) -> None:
    days = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 6)]
    await asyncio.to_thread(fill, tradecat, [minute("BTCUSDT", day) for day in days])
    store, writes_left = CandleStore(DatabaseOptions(database, role="import")), 3
    await store.open()

    async def write(candles: Sequence[Candle]) -> WriteResult:
        nonlocal writes_left
        if not writes_left:
            raise Unavailable("away")
        writes_left -= 1
        return await store.write(candles, [])

    try:
        first = bench.job(write)
        with pytest.raises(Unavailable):
            await first.run(ALL)
        assert first.progress.months_done == 3
        assert len(await bench.notes.done()) == 3
        writes_left = 10
        done = await bench.job(write).run(ALL)
    finally:
        await store.close()
    assert (done.months_known, done.months_done, done.inserted) == (3, 2, 2)
    # The month in which the table ends is not noted: it may still grow.
    assert {month.month for _, month in await bench.notes.done()} == {1, 2, 3, 4}


async def test_a_row_that_the_database_refuses_stands_alone(bench: Bench, tradecat: str) -> None:
    start = datetime(2026, 1, 5, tzinfo=UTC)
    rows = [minute("BTCUSDT", start.replace(minute=number)) for number in range(50)]
    await asyncio.to_thread(fill, tradecat, rows)
    bad_ms = int(start.replace(minute=17).timestamp() * 1000)
    taken: list[Candle] = []

    async def write(candles: Sequence[Candle]) -> WriteResult:
        if any(candle.open_ms == bad_ms for candle in candles):
            raise BadData("no", reason="constraint")
        taken.extend(candles)
        return WriteResult(len(candles), 0, 0)

    done = await bench.job(write).run(ALL)
    assert dict(done.refused) == {"constraint": 1}
    assert (len(taken), done.rows_read) == (49, 50)


def test_metrics_come_over_with_their_digits(
    books: Books, database: str, tradecat: str, capsys: pytest.CaptureFixture[str]
) -> None:
    books.list("BTCUSDT", datetime(2026, 1, 1, tzinfo=UTC))
    with psycopg.connect(tradecat, autocommit=True) as connection:
        connection.execute(_METRICS)
        connection.execute(
            "INSERT INTO market_data.binance_futures_metrics_5m VALUES"
            " ('2026-01-05 00:05', 'BTCUSDT', %(us)s, 84512.1230, 7.1e9, 1.5, NULL, 0.7, 1.00, 'x', true),"
            " ('2026-01-05 00:10', 'BTCUSDT', %(us)s, 84512.1230, 7.1e9, 1.5, NULL, 0.7, 1.00, 'x', false),"
            " ('2026-01-05 00:15', 'BTCUSDT', %(us)s, 'NaN', 7.1e9, 1.5, NULL, 0.7, 1.00, 'x', true)",
            {"us": EXCHANGE},
        )
    for new, known in ((1, 0), (0, 1)):
        assert main(["import", "--from-dsn", tradecat]) == 0
        out = capsys.readouterr().out
        report = out[out.index("market_data.binance_futures_metrics_5m") :]
        lines = dict(line.strip().split(maxsplit=1) for line in report.splitlines()[1:])
        assert lines["rows"].split() == ["read", "3"]
        assert lines["stored"].startswith(f"{new} new,")
        assert lines["known"].startswith(f"{known} that ")
        assert lines["refused"] == "2"
        assert {"still_open", "value"} <= lines.keys()
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT create_time AT TIME ZONE 'UTC', sum_open_interest::text, sum_toptrader_long_short_ratio, authority"
            " FROM market_data.binance_futures_metrics_5m"
        ).fetchall()
        ledger = connection.execute("SELECT dataset, day, have FROM market_data.coverage_days").fetchall()
    assert rows == [(datetime(2026, 1, 5, 0, 5), "84512.1230", None, 0)]  # noqa: DTZ001 - the column is read as UTC
    assert ledger == [("metrics_5m", datetime(2026, 1, 5, tzinfo=UTC).date(), 1)]
