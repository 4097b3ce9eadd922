"""``loop_lag``: how late the daemon's event loop is while it does everything at once.

``--all`` with 740 symbols, from the moment it is ready: it reads the last 24 h over REST, fills 30 days with two
workers, keeps bars and levels every minute, and is scraped every 5 s. The daemon's own beat (every 0.1 s) is what
is measured; of a histogram only the bounds are known, so each figure is the upper bound of its bucket.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.live import (
    MINUTES,
    SYMBOLS,
    children_mb,
    daemon_on,
    database_in,
    sandbox_in,
    settings_of,
    usage,
)

_EVERY_S = 5.0
_NAME = "marketd_event_loop_lag_seconds_bucket"
_LOAD = {
    "BACKFILL_FROM": "30d",
    "BACKFILL_WORKERS": "2",
    "SCHEDULES": "Bars=* * * * * 10,Levels=* * * * * 25",
}


def run() -> dict[str, object]:
    """{p99_ms, max_ms, beats, minutes, ...}; ``MARKETD_LIVE_MINUTES`` (10) whole minutes."""
    folder = Path(tempfile.mkdtemp(prefix="marketd-lag-"))
    try:
        with (
            database_in(folder / "pg") as url,
            sandbox_in(folder) as venue,
            daemon_on(folder, settings_of(folder, url, venue) | _LOAD, "--all") as daemon,
        ):
            _wait_ready(daemon.port)
            before = _read(daemon.port)
            resident, until = [0.0], time.monotonic() + MINUTES * 60
            while time.monotonic() < until:
                time.sleep(_EVERY_S)
                after = _read(daemon.port)
                resident.append(usage(daemon.pid).rss_mb + children_mb(daemon.pid))
            return _result(before, after) | {"rss_with_children_mb": round(max(resident), 1)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _result(before: dict[str, float], after: dict[str, float]) -> dict[str, object]:
    grown = {name: value - before.get(name, 0.0) for name, value in after.items()}
    buckets = sorted(
        (float(name.partition('le="')[2].rstrip('"}')), count)
        for name, count in grown.items()
        if name.startswith(_NAME)
    )
    beats = buckets[-1][1]
    return {
        "symbols": SYMBOLS,
        "minutes": MINUTES,
        "beats": int(beats),
        "p99_ms": _first(buckets, 0.99 * beats),
        "max_ms": _first(buckets, beats),
        "rows_stored": int(_total(grown, "marketd_rows_committed_total")),
        "tasks_done": int(_total(grown, "marketd_tasks_total", 'outcome="success"')),
        "tasks_failed": int(_total(grown, "marketd_tasks_total", 'outcome="failed"')),
    }


def _first(buckets: list[tuple[float, float]], beats: float) -> float:
    """Milliseconds: the first bound that so many beats lie under."""
    return next(1000 * bound for bound, count in buckets if count >= beats)


def _total(grown: dict[str, float], name: str, label: str = "") -> float:
    return sum(value for key, value in grown.items() if key.startswith(name) and label in key)


def _read(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name[:1] != "#"
    }


def _wait_ready(port: int) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10):
                return
        except urllib.error.HTTPError:
            time.sleep(1)
    raise TimeoutError("the daemon was not ready within 5 min")
