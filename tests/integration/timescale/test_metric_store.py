"""Metrics and funding in the real database: any order and repetition leaves the same table, and the ledger counts."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.adapters.timescale.metrics.funding import FundingStore
from src.adapters.timescale.metrics.store import MetricStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.model import (
    FIVE_MINUTES_MS,
    METRIC_COLUMNS,
    ArchiveFile,
    Authority,
    Dataset,
    FundingRate,
    FuturesMetric,
    Span,
    WriteResult,
)
from src.ports.metrics import MetricSeries

from .helpers import fetch

MIDNIGHT_MS = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1000
ROW = FuturesMetric(
    "BTCUSDT",
    MIDNIGHT_MS + FIVE_MINUTES_MS,
    Decimal("94731.046"),
    Decimal("8157280897.9554"),
    Decimal("1.1"),
    Decimal("1.2"),
    Decimal("1.3"),
    Decimal("0.9"),
    "binance_rest",
    Authority.REST,
)
FUNDING = FundingRate(
    "BTCUSDT",
    MIDNIGHT_MS + 3,
    Decimal("-0.00002485"),
    Decimal("85718.5"),
    None,
    "binance_rest",
    Authority.REST,
)
FILE = ArchiveFile(
    "data/futures/um/daily/metrics/BTCUSDT/BTCUSDT-metrics-2026-03-01.zip",
    Dataset.METRICS,
    "BTCUSDT",
    Span.DAILY,
    date(2026, 3, 1),
)
NOBODY: dict[str, Any] = dict.fromkeys(METRIC_COLUMNS)


@pytest.fixture
async def store(database: str) -> AsyncIterator[MetricStore]:
    store = MetricStore(SharedSession(DatabaseOptions(database), purpose="metrics"))
    yield store
    await store.close()


@pytest.fixture
async def funding(database: str) -> AsyncIterator[FundingStore]:
    store = FundingStore(SharedSession(DatabaseOptions(database), purpose="funding"))
    yield store
    await store.close()


async def stored(url: str) -> list[tuple[Any, ...]]:
    return await fetch(
        url,
        "SELECT symbol, (extract(epoch FROM create_time) * 1000)::bigint, sum_open_interest, sum_open_interest_value,"
        " count_toptrader_long_short_ratio, sum_toptrader_long_short_ratio, count_long_short_ratio,"
        " sum_taker_long_short_vol_ratio, authority::int, source"
        ' FROM binance_futures_metrics_5m ORDER BY symbol COLLATE "C", create_time',
    )


async def days(url: str, dataset: str = "metrics_5m") -> list[tuple[Any, ...]]:
    return await fetch(
        url,
        "SELECT symbol, day, have, absent FROM coverage_days WHERE dataset = %s ORDER BY symbol, day",
        [dataset],
    )


@st.composite
def metrics(draw: st.DrawFn) -> FuturesMetric:
    """Rows that collide often and each know a part."""
    authority = draw(st.sampled_from([Authority.FOREIGN, Authority.REST, Authority.ARCHIVE]))
    values = st.sampled_from([None, Decimal("0"), Decimal("1.50"), Decimal("1.5"), Decimal("2")])
    return replace(
        ROW,
        symbol=draw(st.sampled_from(["BTCUSDT", "币安人生USDT"])),
        end_ms=MIDNIGHT_MS + draw(st.sampled_from([0, FIVE_MINUTES_MS])),
        **{name: draw(values) for name in METRIC_COLUMNS},
        source=draw(st.sampled_from(["a", "B", "é"])),
        authority=authority,
        revision=draw(st.integers(0, 2)) if authority is Authority.ARCHIVE else 0,
    )


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[FuturesMetric]]:
    """One set of rows, in any order, some of them twice, cut into batches anywhere."""
    rows = draw(st.lists(metrics(), min_size=1, max_size=8))
    again = draw(st.lists(st.sampled_from(rows), max_size=4))
    order = draw(st.permutations([*rows, *again]))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=3)) | {0, len(order)})
    return [list(order[start:end]) for start, end in itertools.pairwise(cuts)]


def naive(rows: Iterable[FuturesMetric]) -> list[tuple[Any, ...]]:
    """The slow twin: of all rows of one key, each column's value of the largest (authority, revision, value)."""
    by_key: dict[tuple[str, int], list[FuturesMetric]] = {}
    for row in rows:
        if any(getattr(row, name) is not None for name in METRIC_COLUMNS):
            by_key.setdefault((row.symbol, row.end_ms), []).append(row)
    found: list[tuple[Any, ...]] = []
    for key in sorted(by_key):
        values: list[Decimal | None] = []
        for name in METRIC_COLUMNS:
            said = [
                (row.authority, row.revision, getattr(row, name))
                for row in by_key[key]
                if getattr(row, name) is not None
            ]
            values.append(max(said)[2] if said else None)
        authority, source = max((int(row.authority), row.source) for row in by_key[key])
        found.append((*key, *values, authority, source))
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=arrivals())
async def test_any_order_repetition_and_split_leaves_the_same_table(
    database: str, store: MetricStore, batches: list[list[FuturesMetric]]
) -> None:
    await fetch(database, "DELETE FROM binance_futures_metrics_5m")
    await fetch(database, "DELETE FROM coverage_days")
    results = [await store.write(batch) for batch in batches]

    expected = naive(itertools.chain.from_iterable(batches))
    assert await stored(database) == expected
    assert [result.rows for result in results] == [len(batch) for batch in batches]
    assert sum(result.inserted for result in results) == len(expected)
    assert sum(have for _, _, have, _ in await days(database)) == len(expected)

    for batch in batches:
        assert await store.write(batch) == WriteResult(0, 0, len(batch))


async def test_the_row_of_midnight_belongs_to_the_day_before(database: str, store: MetricStore) -> None:
    await store.write([replace(ROW, end_ms=MIDNIGHT_MS), ROW])
    assert await days(database) == [
        ("BTCUSDT", date(2026, 2, 28), 1, 0),
        ("BTCUSDT", date(2026, 3, 1), 1, 0),
    ]


async def test_null_never_replaces_a_value_and_one_endpoint_fills_in_later(
    database: str, store: MetricStore
) -> None:
    only_taker = replace(ROW, **NOBODY | {"sum_taker_long_short_vol_ratio": Decimal("0.9")})
    without_taker = replace(ROW, sum_taker_long_short_vol_ratio=None)
    assert await store.write([without_taker]) == WriteResult(1, 0, 0)
    assert await store.write([only_taker]) == WriteResult(0, 1, 0)
    assert await store.write([without_taker, only_taker, ROW]) == WriteResult(0, 0, 3)
    assert await stored(database) == naive([ROW])
    assert await store.write([replace(ROW, **NOBODY)]) == WriteResult(0, 0, 1), "a row that says nothing"


async def test_a_row_that_was_proved_absent_takes_that_back(database: str, store: MetricStore) -> None:
    start = datetime.fromtimestamp(MIDNIGHT_MS / 1000, UTC)
    await fetch(
        database,
        "INSERT INTO absent_minutes (exchange, dataset, symbol, ts, archive_path, archive_sha256, rest_asked_at,"
        " next_ask_at) VALUES ('binance_futures_um', 'metrics_5m', 'BTCUSDT', %s, 'x', 'y', now(), now())",
        [start],
    )
    await fetch(
        database,
        "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, absent)"
        " VALUES ('binance_futures_um', 'metrics_5m', 'BTCUSDT', '2026-03-01', 288, 1)",
    )
    await store.write([ROW])
    assert await days(database) == [("BTCUSDT", date(2026, 3, 1), 1, 0)]


async def test_a_file_is_one_transaction_with_its_line_and_a_republished_one_wins(
    database: str, store: MetricStore
) -> None:
    archived = replace(ROW, source="binance_archive", authority=Authority.ARCHIVE)
    await store.write([ROW])
    assert await store.write_file(FILE, "a" * 64, 10, [archived]) == WriteResult(0, 1, 0)
    assert await store.write_file(FILE, "a" * 64, 10, [archived]) == WriteResult(0, 0, 1)
    smaller = replace(archived, sum_open_interest=Decimal(1))
    assert await store.write_file(FILE, "b" * 64, 10, [smaller]) == WriteResult(0, 1, 0)
    assert (await stored(database))[0][2] == Decimal(1)
    lines = await fetch(database, "SELECT state, sha256, revision, file_rows, attempts FROM archive_files")
    assert lines == [("imported", "b" * 64, 1, 1, 3)]


async def test_a_refused_file_is_remembered(database: str, store: MetricStore) -> None:
    await store.refuse_file(FILE, "a" * 64, "labels")
    assert await fetch(database, "SELECT state, detail FROM archive_files") == [("quarantined", "labels")]


async def test_reach_knows_each_series_and_the_open_interest(store: MetricStore) -> None:
    later = replace(ROW, end_ms=ROW.end_ms + FIVE_MINUTES_MS, sum_taker_long_short_vol_ratio=None)
    await store.write(
        [ROW, later, replace(ROW, symbol="ETHUSDT", **NOBODY | {"sum_open_interest": Decimal(1)})]
    )
    reach = await store.reach(MIDNIGHT_MS)
    assert reach["BTCUSDT"].ends == {
        series: ROW.end_ms if series is MetricSeries.TAKER else later.end_ms for series in MetricSeries
    }
    assert reach["BTCUSDT"].value == ROW.sum_open_interest_value
    assert reach["ETHUSDT"].ends == {MetricSeries.OPEN_INTEREST: ROW.end_ms}
    assert reach["ETHUSDT"].value == 0
    assert await store.reach(later.end_ms + 1) == {}
    assert await store.stored("BTCUSDT", ROW.end_ms, later.end_ms) == [later]


@pytest.mark.parametrize("value", ["'NaN'", "'Infinity'", "-1"])
@pytest.mark.parametrize("column", METRIC_COLUMNS)
async def test_the_table_refuses_what_is_no_value(database: str, column: str, value: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await fetch(
            database,
            f"INSERT INTO binance_futures_metrics_5m (exchange, symbol, create_time, {column}, {column}_rank,"
            f" authority, source) VALUES ('x', 'y', '2026-03-01', {value}, 2000, 2, 'z')",
        )


async def test_funding_of_two_sources_is_one_row(database: str, funding: FundingStore) -> None:
    archived = replace(
        FUNDING,
        funding_ms=MIDNIGHT_MS + 8,
        mark_price=None,
        interval_hours=4,
        authority=Authority.ARCHIVE,
        source="z",
    )
    monthly = replace(FILE, dataset=Dataset.FUNDING, span=Span.MONTHLY, path="x.zip")
    assert await funding.write([FUNDING]) == WriteResult(1, 0, 0)
    assert await funding.write_file(monthly, "a" * 64, 10, [archived]) == WriteResult(0, 1, 0)
    assert await funding.write([FUNDING]) == WriteResult(0, 0, 1)
    rows = await fetch(
        database,
        "SELECT (extract(epoch FROM funding_time) * 1000)::bigint, funding_rate, mark_price, interval_hours::int,"
        " authority::int, source FROM funding_rates",
    )
    assert rows == [(MIDNIGHT_MS, FUNDING.rate, FUNDING.mark_price, 4, 3, "z")]
    assert await funding.newest(MIDNIGHT_MS) == {"BTCUSDT": MIDNIGHT_MS}
    assert await funding.imported() == {"x.zip"}
    assert await days(database, "funding") == [("BTCUSDT", date(2026, 3, 1), 1, 0)]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
async def test_funding_refuses_what_is_no_rate(database: str, value: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await fetch(
            database,
            "INSERT INTO funding_rates (exchange, symbol, funding_time, funding_rate, funding_rate_rank, authority,"
            " source) VALUES ('x', 'y', '2026-03-01', %s::text::numeric, 2000, 2, 'z')",
            [value],
        )
