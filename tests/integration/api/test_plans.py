"""What the API reads touches the chunks that its range needs, and finds its rows by an index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from src.adapters.timescale.queries import query
from src.api.market.instants import utc
from src.model import DAY_MS, MINUTE_MS

from .market_world import EXCHANGE, START_MS

_WEEKS = 20
_VALUES: dict[str, Any] = {
    "exchange": EXCHANGE,
    "symbol": "AUSDT",
    "forward": False,
    "packed": False,
    "limit": 500,
    "from": utc(START_MS - 500 * MINUTE_MS),
    "to": utc(START_MS),
}
_MERGED: dict[str, Any] = {
    "parts_from": utc(START_MS - DAY_MS),
    "parts_to": utc(START_MS),
    "size": 900_000.0,
    "length": timedelta(minutes=30),
    "origin": utc(0),
    "made_to": utc(START_MS),
    "cuts": [],
}
_EDGE: dict[str, Any] = {"edge_ts": utc(START_MS), "edge_id": 2**63 - 1}
_READS: dict[str, dict[str, Any]] = {
    "minutes": {},
    "kept": {"size": 900_000.0},
    "of_kept": _MERGED,
    "of_minutes": {**_MERGED, "length": timedelta(minutes=3)},
    "metrics": {},
    "metrics_before": {"length": timedelta(hours=1), "origin": utc(0)},
    "metrics_from": {"length": timedelta(hours=1), "origin": utc(0)},
    "funding": {},
    "trades": _EDGE,
    "bars": {**_EDGE, "kind": "tick", "size": 5.0},
}


@contextmanager
def session(url: str) -> Iterator[psycopg.Connection]:
    options = "-c search_path=market_data,public -c TimeZone=UTC -c enable_seqscan=off"
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        yield connection


@pytest.fixture
def crowded(database: str) -> str:
    """Weekly chunks, one row in each."""
    week = "to_timestamp(%(end)s::float8 / 1000) - n * interval '7 days' - interval '1 hour'"
    rows = {
        "candles_1m": f"(exchange, symbol, bucket_ts, open, high, low, close, volume, authority, source)"
        f" SELECT %(exchange)s, 'AUSDT', {week}, 1, 1, 1, 1, 0, 1, 't'",
        "bars": "(exchange, symbol, kind, size, open_ts, close_ts, open, high, low, close, volume)"
        f" SELECT %(exchange)s, 'AUSDT', 'time', 900000, {week}, {week} + interval '15 minutes', 1, 1, 1, 1, 1",
        "binance_futures_metrics_5m": "(exchange, symbol, create_time, authority, source)"
        f" SELECT %(exchange)s, 'AUSDT', {week}, 2, 't'",
        "funding_rates": "(exchange, symbol, funding_time, funding_rate, funding_rate_rank, authority, source)"
        f" SELECT %(exchange)s, 'AUSDT', {week}, 0.1, 0, 2, 't'",
        "agg_trades": "(exchange, symbol, trade_id, ts, price, quantity, is_buyer_maker)"
        f" SELECT %(exchange)s, 'AUSDT', 1000 - n, {week}, 1, 1, true",
    }
    with session(database) as connection:
        for table, columns in rows.items():
            connection.execute(
                f"INSERT INTO {table} {columns} FROM generate_series(0, %(weeks)s - 1) AS n",
                {"end": START_MS, "exchange": EXCHANGE, "weeks": _WEEKS},
            )
    return database


def plan_of(url: str, file: str, name: str, values: dict[str, Any]) -> str:
    with session(url) as connection:
        rows = connection.execute("EXPLAIN " + query(file, name), values).fetchall()
    return "\n".join(row[0] for row in rows)


def test_a_piece_touches_the_chunks_of_its_range_alone_and_the_ledger_is_read_by_its_keys(
    crowded: str,
) -> None:
    for name, values in _READS.items():
        for forward in (False, True):
            plan = plan_of(crowded, "api_market", name, {**_VALUES, **values, "forward": forward})
            chunks = {word for word in plan.split() if word.startswith("_hyper_")}
            tables = {word for word in chunks if word.endswith("_chunk")}
            assert 1 <= len(tables) <= 2, f"{name}: {plan}"
            assert "Seq Scan on _hyper" not in plan, f"{name}: {plan}"
    ledger(crowded)


def ledger(crowded: str) -> None:
    asked = {"exchange": EXCHANGE, "symbol": "AUSDT", "dataset": "candles_1m"}
    assert "Seq Scan" not in plan_of(crowded, "api_market", "series", asked)
    days = {
        "exchange": EXCHANGE,
        "dataset": "candles_1m",
        "symbol": None,
        "first": utc(START_MS).date(),
        "last": utc(START_MS + DAY_MS).date(),
        "after_day": utc(0).date(),
        "after_symbol": "",
        "limit": 10,
    }
    for symbol in (None, "AUSDT"):
        plan = plan_of(crowded, "api_coverage", "open_days", {**days, "symbol": symbol})
        assert "Index" in plan, plan
        assert "Seq Scan" not in plan, plan
