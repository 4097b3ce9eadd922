"""The part of ``scale`` about symbols: what a minute of ``--ws`` costs with 100, 740 and 1500 of them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.live import (
    Process,
    daemon_on,
    database_in,
    samples,
    sandbox_in,
    settings_of,
    usage,
    wait_caught_up,
)
from benchmarks.scale_costs import checkpoint, costs
from src.model import MINUTE_MS
from src.sandbox.market.catalogue import catalogue

SYMBOLS = tuple(map(int, os.environ.get("MARKETD_SCALE_LIVE", "100,740,1500").split(",")))
MINUTES = int(os.environ.get("MARKETD_SCALE_MINUTES", "5"))
"""As long as from one checkpoint to the next: the first change of a page after one logs the page as a whole."""
_LISTED_MIN = 5
"""Everything was listed so many minutes ago, so that there is hardly a past to read back."""
_SETTLE_S, _HALF_S = 30.0, 30.0


def live_costs() -> list[dict[str, object]]:
    """For each number of symbols: CPU seconds a minute of daemon and server, memory, rows and log; speed 1."""
    return [_of(symbols) for symbols in SYMBOLS]


def _of(symbols: int) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="marketd-scale-"))
    try:
        with (
            database_in(folder / "pg") as url,
            sandbox_in(folder, "--exchange-info", str(_universe(folder, symbols))) as venue,
            daemon_on(folder, settings_of(folder, url, venue)) as daemon,
        ):
            wait_caught_up(daemon.port)
            time.sleep(_SETTLE_S)
            return _measure(folder / "pg", url, daemon)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(cluster: Path, url: str, daemon: Process) -> dict[str, object]:
    # Half a minute after a close nothing is under way, so that as many closes are counted as minutes pass.
    _until((int(time.time()) // 60 + 1) * 60.0 + _HALF_S)
    checkpoint(cluster)
    began = time.time()
    before, own_before, rows_before = costs(cluster, url), usage(daemon.pid), _rows(daemon)
    _until(began + MINUTES * 60)
    server, own, rows = costs(cluster, url).since(before), usage(daemon.pid), _rows(daemon) - rows_before
    return {
        "symbols": int(samples(daemon.port)["marketd_symbols_expected"]),
        "minutes": MINUTES,
        "rows_per_minute": round(rows / MINUTES),
        "daemon_cpu_s_per_minute": round((own.cpu_s - own_before.cpu_s) / MINUTES, 3),
        "server_cpu_s_per_minute": round(server.cpu_s / MINUTES, 3),
        "rss_mb": round(own.rss_mb, 1),
        "wal_bytes_per_row": round(server.wal_bytes / rows),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def _rows(daemon: Process) -> float:
    return samples(daemon.port).get("marketd_rows_committed_total", 0.0)


def _until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def _universe(folder: Path, symbols: int) -> Path:
    """The sandbox's own catalogue, everything that trades listed a few minutes ago."""
    now_ms = int(time.time() * 1000) // MINUTE_MS * MINUTE_MS
    entries = catalogue(1, symbols, now_ms)
    for entry in entries:
        if entry["status"] == "TRADING":
            entry["onboardDate"] = now_ms - _LISTED_MIN * MINUTE_MS
    path = folder / "exchange-info.json"
    path.write_text(json.dumps({"timezone": "UTC", "symbols": entries}), encoding="utf-8")
    return path
