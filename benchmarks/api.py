"""``api``: reading over HTTP, beside the live path that must not notice it.

``--ws --api`` with 740 symbols against the sandbox at speed 1. A few symbols have a past of their own in the database:
2,000 minutes, hours and days each. The clients are a process of their own on the same machine (``api_clients``).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from benchmarks.feed import first_line, free_port
from benchmarks.live import ROOT, environment, run_beside, stop

CLIENTS = int(os.environ.get("MARKETD_API_CLIENTS", "16"))
SYMBOLS = int(os.environ.get("MARKETD_API_SYMBOLS", "40"))
ROWS = 2_000
_EXCHANGE = "binance_futures_um"
_END = "2026-06-01"
"""The past ends before the live minutes begin, so that nothing mends it meanwhile."""


def run() -> dict[str, object]:
    """{klines_2000_rows_p99_ms by interval, rps, ..., and what ``live`` gives}."""
    port = free_port()

    @contextmanager
    def clients(settings: dict[str, str]) -> Iterator[dict[str, object]]:
        _fill(settings["DATABASE_URL"])
        result: dict[str, object] = {"clients": CLIENTS}
        command = [sys.executable, "-m", "benchmarks.api_clients", str(port), str(CLIENTS), str(SYMBOLS)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=environment())
        try:
            yield result
            process.terminate()
            result |= json.loads(first_line(process))
        finally:
            if process.poll() is None:
                stop(process)

    found = run_beside(clients, "--ws", "--api", API_PORT=str(port), API_REQUESTS_PER_MINUTE="10000000")
    return {**found, "live_p99_s": found["close_to_commit_p99_s"]}


def _fill(url: str) -> None:
    """ROWS minutes, hours and days of each symbol, in the order in which they come, and that they are made."""
    with psycopg.connect(url, options="-c search_path=market_data,public -c TimeZone=UTC") as connection:
        connection.execute(
            "INSERT INTO candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume,"
            " trade_count, taker_buy_volume, authority, source)"
            " SELECT %s, 'PAST' || n || 'USDT', ts, 100.25, 101.5, 99.75, 100.5, 12.345, 1234.5678, 321, 6.789, 3, 'b'"
            " FROM generate_series(%s::timestamptz - make_interval(mins => %s), %s::timestamptz - interval '1 minute',"
            " interval '1 minute') AS ts, generate_series(1, %s) AS n",
            [_EXCHANGE, _END, ROWS + 500, _END, SYMBOLS],
        )
        for size in ("1 hour", "1 day"):
            connection.execute(
                "INSERT INTO bars (exchange, symbol, kind, size, open_ts, close_ts, open, high, low, close, volume,"
                " quote_volume, trade_count, buy_volume, vwap, missing_minutes)"
                " SELECT %s, 'PAST' || n || 'USDT', 'time', extract(epoch FROM %s::interval) * 1000, ts,"
                " ts + %s::interval, 100.25, 101.5, 99.75, 100.5, 12.345, 1234.5678, 321, 6.789, 100.1, 0"
                " FROM generate_series(%s::timestamptz - %s * %s::interval, %s::timestamptz - %s::interval,"
                " %s::interval) AS ts, generate_series(1, %s) AS n",
                [_EXCHANGE, size, size, _END, ROWS + 50, size, _END, size, size, SYMBOLS],
            )
        connection.execute(
            "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, have)"
            " SELECT %s, 'candles_1m', 'PAST' || n || 'USDT', day::date, 1440, 1440"
            " FROM generate_series(%s::date - %s, %s::date - 1, interval '1 day') AS day, generate_series(1, %s) AS n",
            [_EXCHANGE, _END, ROWS + 50, _END, SYMBOLS],
        )
        connection.execute(
            "INSERT INTO bar_fronts (exchange, symbol, made_to)"
            " SELECT %s, 'PAST' || n || 'USDT', %s FROM generate_series(1, %s) AS n",
            [_EXCHANGE, _END, SYMBOLS],
        )
    with psycopg.connect(url, autocommit=True, options="-c search_path=market_data,public") as connection:
        connection.execute("ANALYZE bars, candles_1m, coverage_days")
