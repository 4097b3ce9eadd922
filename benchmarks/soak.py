"""``soak``: hours of the whole daemon against the sandbox, and what it holds then that it did not hold before.

``MARKETD_SOAK_HOURS`` (2) at speed 1 with 740 symbols; every ten seconds its resident memory, descriptors, threads and
the loop's tasks. The first 30 min are not looked at: caches fill, 24 h of history come over REST. Of each 5 min after
them the smallest memory counts, so that what a flush or a scrape holds for a moment does not; the slope is the one of
least squares. ``MARKETD_SOAK_WARM_MINUTES`` (30) makes a short run possible, which says that it was short.

``MARKETD_SOAK_SPEED`` (1) makes the exchange's clock faster: hours, minutes and the slope are then the exchange's, and
``rss_mb`` tells what came together in all of them. ``MARKETD_SOAK_ARGUMENTS`` (``--ws``) may be ``--all``, which fills
the history of two days first and runs every task on its schedule.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.live import Process, daemon_on, database_in, samples, sandbox_in, settings_of, usage

HOURS = float(os.environ.get("MARKETD_SOAK_HOURS", "2"))
WARM_S = 60 * float(os.environ.get("MARKETD_SOAK_WARM_MINUTES", "30"))
SPEED = float(os.environ.get("MARKETD_SOAK_SPEED", "1"))
ARGUMENTS = os.environ.get("MARKETD_SOAK_ARGUMENTS", "--ws").split()
_EVERY_S = max(10.0, 2.0 * SPEED)
"""Exchange seconds between two samples, not less than two of this computer's: a sample is work for the daemon."""
_OWN = {"SPEED": f"{SPEED:g}", "BACKFILL_FROM": "2d"}
_WINDOW_S = 300.0
_LEAST_S = 120.0
"""Of a run behind its first part: a minute that is whole, and some samples."""
_SILENT_S = 600.0
"""Wall seconds without an answer after which the daemon counts as lost, and the run is over."""
_SETTLE_S = 90.0
"""After the last minute's end: the slowest row is due 35 s after it, its confirmation a minute later."""
_STORED = """
SELECT count(*), count(*) FILTER (WHERE source = 'binance_ws') FROM candles_1m
WHERE exchange = 'binance_futures_um' AND bucket_ts >= to_timestamp(%s) AND bucket_ts < to_timestamp(%s)
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the daemon held at a moment, exchange seconds since the beginning."""

    at_s: float
    rss_mb: float
    descriptors: int
    threads: int
    tasks: int


def run() -> dict[str, object]:
    """{rss_slope_mb_per_h, descriptors, threads, tasks (first and last median), missing, ...}."""
    if HOURS * 3600 < WARM_S + _LEAST_S:
        raise SystemExit(
            f"MARKETD_SOAK_HOURS={HOURS:g}: the first {WARM_S / 60:g} min are not looked at, so nothing would be left;"
            " take more hours, or fewer MARKETD_SOAK_WARM_MINUTES"
        )
    folder = Path(tempfile.mkdtemp(prefix="marketd-soak-"))
    try:
        with (
            database_in(folder / "pg") as url,
            sandbox_in(folder, "--speed", f"{SPEED:g}") as venue,
            daemon_on(folder, settings_of(folder, url, venue) | _OWN, *ARGUMENTS) as daemon,
        ):
            return _soaked(url, daemon, venue["rest_url"])
    except (OSError, KeyError):  # it does not answer, or it has ended
        if (log := folder / "daemon.log").exists():  # it goes with the folder, and nobody else can tell
            sys.stderr.write(log.read_text(encoding="utf-8", errors="replace")[-4000:])
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _soaked(url: str, daemon: Process, rest_url: str) -> dict[str, object]:
    began = answered = time.monotonic()
    taken: list[Sample] = []
    first = 0
    while (at_s := (time.monotonic() - began) * SPEED) < HOURS * 3600:
        try:
            taken.append(_sample(daemon, at_s))
            if not first and at_s >= WARM_S:
                first = (_exchange_s(rest_url) // 60 + 1) * 60
            answered = time.monotonic()
        except OSError:  # what is not answered is one sample less, not the end of hours
            if time.monotonic() - answered > _SILENT_S:
                raise
        time.sleep(_EVERY_S / SPEED)
    last = _exchange_s(rest_url) // 60 * 60
    time.sleep(_SETTLE_S)
    seen = samples(daemon.port)
    symbols, minutes = int(seen["marketd_symbols_expected"]), (last - first) // 60
    stored, live = _stored(url, first, last)
    late = [sample for sample in taken if sample.at_s >= WARM_S]
    return {
        "hours": HOURS,
        "speed": SPEED,
        "arguments": " ".join(ARGUMENTS),
        "warm_minutes": WARM_S / 60,
        "symbols": symbols,
        "minutes": minutes,
        "missing": symbols * minutes - stored,
        "by_stream": round(live / max(1, symbols * minutes), 4),  # a fast, short run may hold no whole minute
        # A run that is too short for two points has no slope, and JSON no NaN.
        "rss_slope_mb_per_h": None if len(minima(late)) < 2 else round(slope(minima(late)), 3),
        "rss_mb": {"first": late[0].rss_mb, "last": late[-1].rss_mb, "most": max(one.rss_mb for one in late)},
        **{name: _change(late, name) for name in ("descriptors", "threads", "tasks")},
        "reconnects": seen.get("marketd_ws_reconnects_total", 0),
        "restarts": seen.get("marketd_supervisor_restarts_total", 0),
        "rejected": seen.get("marketd_rows_rejected_total", 0),
        "dropped": seen.get("marketd_rows_dropped_total", 0),
        "samples": len(taken),
        "minima": [asdict(sample) for sample in minima(late)],
    }


def _exchange_s(rest_url: str) -> int:
    with urllib.request.urlopen(f"{rest_url}/fapi/v1/time", timeout=10) as answer:  # noqa: S310 - our own sandbox
        return int(json.load(answer)["serverTime"]) // 1000


def _sample(daemon: Process, at_s: float) -> Sample:
    own = Path(f"/proc/{daemon.pid}")
    return Sample(
        round(at_s, 1),
        round(usage(daemon.pid).rss_mb, 2),
        sum(1 for _ in (own / "fd").iterdir()),
        sum(1 for _ in (own / "task").iterdir()),
        int(samples(daemon.port).get("marketd_event_loop_tasks", 0)),
    )


def minima(taken: Sequence[Sample]) -> list[Sample]:
    """The sample of least memory of each 5 min that are whole."""
    if not taken:
        return []
    start = taken[0].at_s
    found: dict[int, Sample] = {}
    for sample in taken:
        number = int((sample.at_s - start) // _WINDOW_S)
        if number not in found or sample.rss_mb < found[number].rss_mb:
            found[number] = sample
    whole = int((taken[-1].at_s - start + _EVERY_S) // _WINDOW_S)
    return [found[number] for number in sorted(found) if number < whole]


def slope(points: Sequence[Sample]) -> float:
    """MB an hour, by least squares; NaN for fewer than two points."""
    if len(points) < 2:
        return float("nan")
    hours = [point.at_s / 3600 for point in points]
    middle, level = sum(hours) / len(hours), sum(point.rss_mb for point in points) / len(points)
    spread = sum((hour - middle) ** 2 for hour in hours)
    return (
        sum((hour - middle) * (point.rss_mb - level) for hour, point in zip(hours, points, strict=True))
        / spread
    )


def _change(taken: Sequence[Sample], name: str) -> dict[str, Any]:
    """Medians of the first and the last tenth, and the most in between."""
    values = [getattr(sample, name) for sample in taken]
    some = max(1, len(values) // 10)
    return {
        "first": sorted(values[:some])[some // 2],
        "last": sorted(values[-some:])[some // 2],
        "most": max(values),
    }


def _stored(url: str, first: int, last: int) -> tuple[int, int]:
    """Rows of these minutes, and those of them that the stream brought."""
    with psycopg.connect(url, options="-c search_path=market_data,public") as connection:
        [(number, live)] = connection.execute(_STORED, (first, last)).fetchall()
    return int(number), int(live)
