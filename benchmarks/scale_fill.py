"""The part of ``scale`` about filling: ``marketd backfill`` of 30 days of archive, by 1, 2 and 4 workers.

Each worker count fills a schema of its own on one server, with all that belongs to it: files listed, downloaded,
checked, imported, the ledger kept. The sandbox makes the files on the same machine, at low priority.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from benchmarks.live import ROOT
from benchmarks.scale_costs import costs

WORKERS = (1, 2, 4)
DAYS = 30
END = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
"""The archive surely has the files of what lies before."""
_STORED = "SELECT count(*) FROM candles_1m WHERE bucket_ts >= %s AND bucket_ts < %s"


def fill_rates(cluster: Path, settings: dict[str, str]) -> list[dict[str, object]]:
    """For each number of workers: rows a second, and CPU seconds of server and importers for a million rows."""
    return [
        {"workers": workers, **fill(cluster, settings, f"workers_{workers}", DAYS, workers=workers)}
        for workers in WORKERS
    ]


def fill(
    cluster: Path, settings: dict[str, str], schema: str, days: int, *, workers: int = 2
) -> dict[str, object]:
    """Make ``schema`` and fill so many days up to END. Raises ``RuntimeError`` if a minute is missing then."""
    settings = {**settings, "KLINE_DB_SCHEMA": schema}
    _run(settings, "migrate")
    before, own, began = costs(cluster, settings["DATABASE_URL"]), _children_cpu_s(), time.monotonic()
    since = END - timedelta(days=days)
    _run(
        settings, "backfill", "--source", "zip", "--workers", str(workers),
        "--from", f"{since:%Y-%m-%d}", "--to", f"{END:%Y-%m-%d}",
    )  # fmt: skip
    seconds = time.monotonic() - began
    server, own = costs(cluster, settings["DATABASE_URL"]).since(before), _children_cpu_s() - own
    rows = _stored(settings["DATABASE_URL"], schema, since)
    millions = rows / 1e6
    return {
        "rows": rows,
        "seconds": round(seconds, 1),
        "rows_per_s": round(rows / seconds),
        "server_cpu_s_per_million": round(server.cpu_s / millions, 2),
        "workers_cpu_s_per_million": round(own / millions, 2),
        "wal_bytes_per_row": round(server.wal_bytes / rows),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def _run(settings: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "src", *arguments],
        cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"marketd {arguments[0]} ended with {done.returncode}: {done.stdout[-2000:]}")


def _children_cpu_s() -> float:
    """Of all that this process has waited for, and that those have waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _stored(url: str, schema: str, since: datetime) -> int:
    with psycopg.connect(url, options=f"-c search_path={schema},public") as connection:
        row = connection.execute(_STORED, (since, END)).fetchone()
    if row is None or not row[0]:
        raise RuntimeError(f"{schema}: nothing is stored")
    return int(row[0])
