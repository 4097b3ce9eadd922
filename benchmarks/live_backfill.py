"""``live_backfill``: what ``live`` measures, while ``marketd backfill`` fills 30 days of all symbols with two workers.

The command has the history to itself (the daemon runs ``--ws``), so archive, importer and database are as busy as
they can be; what it stored in the measured minutes is part of the result.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from benchmarks.live import ROOT, run_beside, stop

WORKERS = 2
_LONG_AGO = """
SELECT count(*) FROM candles_1m
WHERE exchange = 'binance_futures_um'
  AND bucket_ts >= now() - interval '60 days' AND bucket_ts < now() - interval '2 days'
"""


def run() -> dict[str, object]:
    """{what ``live`` gives, backfill_workers, backfill_rows, backfill_seconds}; takes a quarter of an hour."""
    return run_beside(_filling)


@contextmanager
def _filling(settings: dict[str, str]) -> Iterator[dict[str, object]]:
    command = [sys.executable, "-m", "src", "backfill", "--workers", str(WORKERS)]
    told: dict[str, object] = {"backfill_workers": WORKERS}
    process = subprocess.Popen(
        command, cwd=ROOT, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    started = time.monotonic()
    try:
        yield told
        with psycopg.connect(settings["DATABASE_URL"], options="-c search_path=market_data") as connection:
            row = connection.execute(_LONG_AGO).fetchone()
        told |= {
            "backfill_rows": row[0] if row else 0,
            "backfill_ended": process.poll(),
            "backfill_seconds_or_more": round(time.monotonic() - started),
        }
    finally:
        stop(process)
