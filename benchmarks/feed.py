"""``feed``: 500 listeners of the live feed, all symbols each, beside the live path that must not notice them.

``--ws --api`` with 740 symbols against the sandbox at speed 1, the listeners in a process of their own on the same
machine. What counts is when each listener has a frame, against the server's own time of the commit that made it.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

from benchmarks.live import ROOT, environment, run_beside, stop

CLIENTS = int(os.environ.get("MARKETD_FEED_CLIENTS", "500"))
_EARLY_S = 0.005
"""The venue's clock and this computer's differ by half of what a request takes."""

_COMMITS = """
SELECT symbol, (extract(epoch FROM bucket_ts) * 1000)::bigint,
       extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8
FROM candles_1m
WHERE exchange = 'binance_futures_um' AND updated_at = ingested_at
  AND bucket_ts >= to_timestamp(%s) AND bucket_ts <= to_timestamp(%s)
"""


def run() -> dict[str, object]:
    """{clients, frames, cut_off, delay_p50_ms, delay_p99_ms, delay_max_ms, and what ``live`` gives}."""
    port = free_port()

    @contextmanager
    def listeners(settings: dict[str, str]) -> Iterator[dict[str, object]]:
        result: dict[str, object] = {"clients": CLIENTS}
        with _clients(port) as process:
            yield result
            process.terminate()
            told = json.loads(first_line(process))
        result |= _delays(told, settings["DATABASE_URL"])

    found = run_beside(listeners, "--ws", "--api", API_PORT=str(port))
    return {**found, "live_p99_s": found["close_to_commit_p99_s"]}


@contextmanager
def _clients(port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "benchmarks.feed_clients", str(port), str(CLIENTS)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=environment())
    try:
        first_line(process)
        yield process
    finally:
        if process.poll() is None:
            stop(process)


def first_line(process: subprocess.Popen[bytes]) -> str:
    """The next line that it prints. Raises ``RuntimeError`` when it ends without."""
    if process.stdout is None or not (line := process.stdout.readline()):
        raise RuntimeError("it ended early")
    return line.decode()


def _delays(told: Mapping[str, Any], url: str) -> dict[str, object]:
    frames = {int(at_ms): frame for at_ms, frame in told["frames"].items() if frame["rows"]}
    commits = _commits(url, [row for frame in frames.values() for row in frame["rows"]])
    delays, not_told = [], 0
    for at_ms, frame in frames.items():
        known = [
            commits[symbol, open_ms] for symbol, open_ms in frame["rows"] if (symbol, open_ms) in commits
        ]
        # Rows that were there before are among those of a transaction; its own commit is the newest before the frame.
        commit = max((one for one in known if one <= at_ms / 1000 + _EARLY_S), default=None)
        if commit is not None:
            delays += [max(had - commit, 0.0) for had in frame["had"]]
            not_told += CLIENTS - len(frame["had"])
    delays.sort()
    return {
        "frames": len(delays),
        "not_told": not_told,
        "cut_off": told["lost"],
        "delay_p50_ms": round(statistics.median(delays) * 1000, 1),
        "delay_p99_ms": round(delays[int(len(delays) * 0.99)] * 1000, 1),
        "delay_max_ms": round(delays[-1] * 1000, 1),
    }


def _commits(url: str, rows: list[list[Any]]) -> dict[tuple[str, int], float]:
    times = [open_ms / 1000 for _, open_ms in rows]
    with psycopg.connect(url, options="-c search_path=market_data") as connection:
        found = connection.execute(_COMMITS, (min(times), max(times))).fetchall()
    return {(symbol, open_ms): commit for symbol, open_ms, commit in found}


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
