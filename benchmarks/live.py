"""``live``: the whole daemon against the sandbox at speed 1, and how long after a minute's end its rows are stored.

Three real processes share the machine: the sandbox (740 symbols), the daemon (``--ws``) and a TimescaleDB of the
benchmark's own with fsync on. The commit time of each row is the server's own (``track_commit_timestamp``), the
minute's end is the sandbox's clock, which at speed 1 is this computer's. The first 24 h of history, which the
daemon fetches at its start, are let through before the measurement begins; they are not measured here.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parent.parent
SYMBOLS = int(os.environ.get("MARKETD_LIVE_SYMBOLS", "740"))
MINUTES = int(os.environ.get("MARKETD_LIVE_MINUTES", "10"))
_TICKS = os.sysconf("SC_CLK_TCK")
_SETTLE_S = 75.0
"""After the last minute's end: the slowest row is due 35 s after it, its confirmation a minute later."""

_ROWS = """
SELECT symbol, extract(epoch FROM bucket_ts)::float8 + 60,
       extract(epoch FROM CASE WHEN updated_at = ingested_at THEN pg_xact_commit_timestamp(xmin)
                               ELSE ingested_at END)::float8
FROM candles_1m
WHERE exchange = 'binance_futures_um' AND bucket_ts >= to_timestamp(%s) AND bucket_ts < to_timestamp(%s)
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used: CPU seconds in all, resident memory now and at its peak in MB."""

    cpu_s: float
    rss_mb: float
    peak_mb: float


Load = Callable[[dict[str, str]], AbstractContextManager[dict[str, object]]]
"""Something that runs beside the measured minutes, with these settings; what it yields is added to the result."""


def run() -> dict[str, object]:
    """Run it for ``MARKETD_LIVE_MINUTES`` (10) whole minutes; takes five minutes more."""
    return run_beside(lambda _: nullcontext({}))


def run_beside(load: Load, *arguments: str, **settings: str) -> dict[str, object]:
    """The same beside ``load``, which begins when the daemon has caught up; with other arguments than ``--ws``."""
    folder = Path(tempfile.mkdtemp(prefix="marketd-live-"))
    try:
        with (
            database_in(folder / "pg") as url,
            sandbox_in(folder) as venue,
            daemon_on(folder, settings_of(folder, url, venue) | settings, *arguments) as daemon,
        ):
            wait_caught_up(daemon.port)
            with load(settings_of(folder, url, venue)) as told:
                result = _measure(url, venue, daemon)
            return {**result, **told}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Process:
    """A running daemon and the port it answers on."""

    pid: int
    port: int


def _measure(url: str, venue: dict[str, Any], daemon: Process) -> dict[str, object]:
    first = (int(time.time()) // 60 + 1) * 60
    time.sleep(first - time.time())
    before = usage(daemon.pid)
    resident, children = [], []
    while time.time() < first + MINUTES * 60:
        time.sleep(5)
        resident.append(usage(daemon.pid).rss_mb)
        children.append(children_mb(daemon.pid))
    after = usage(daemon.pid)
    time.sleep(_SETTLE_S)
    symbols = _expected(daemon.port)
    delays, missing = _delays(url, first, symbols)
    return {
        "symbols": symbols,
        "minutes": MINUTES,
        "rows": len(delays),
        "fsync": _setting(url, "fsync"),
        "synchronous_commit": _setting(url, "synchronous_commit"),
        "close_to_commit_p50_s": round(statistics.median(delays), 3),
        "close_to_commit_p99_s": round(_quantile(delays, 0.99), 3),
        "tail_max_s": round(max(delays), 3),
        "missing": missing,
        "rss_mb": round(max(resident), 1),
        "rss_children_mb": round(max(children), 1),
        "rss_peak_mb": round(after.peak_mb, 1),
        "cpu_share": round((after.cpu_s - before.cpu_s) / (MINUTES * 60), 4),
        "sandbox_seed": venue.get("seed", 1),
    }


def _delays(url: str, first: int, symbols: int) -> tuple[list[float], int]:
    with psycopg.connect(url, options="-c search_path=market_data") as connection:
        rows = connection.execute(_ROWS, (first, first + MINUTES * 60)).fetchall()
    delays = sorted(committed - closed for _, closed, committed in rows)
    return delays, symbols * MINUTES - len(rows)


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def wait_caught_up(port: int) -> None:
    """Until it has fetched what was missing when it started."""
    deadline = time.time() + 900
    while time.time() < deadline:
        seen = samples(port)
        scanned = seen.get("marketd_gap_candles_found_total", 0) > 0
        if scanned and seen.get("marketd_missing_candles", 1) == 0 and seen["marketd_buffer_rows"] < 1000:
            return
        time.sleep(2)
    raise TimeoutError("the daemon did not fetch the last 24 h within 15 min")


def samples(port: int) -> dict[str, float]:
    """All samples of ``/metrics``, those of one name added up."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            name = name.partition("{")[0]
            found[name] = found.get(name, 0.0) + float(value)
    return found


def _expected(port: int) -> int:
    return int(samples(port)["marketd_symbols_expected"])


def usage(pid: int) -> Usage:
    """What a process uses now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    cpu = (int(fields[11]) + int(fields[12])) / _TICKS
    return Usage(cpu, int(status["VmRSS"].split()[0]) / 1024, int(status["VmHWM"].split()[0]) / 1024)


def children_mb(pid: int) -> float:
    """Resident memory of the processes that ``pid`` started and that still run, MB."""
    found = 0.0
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError, KeyError):  # it may end meanwhile
            found += usage(int(child)).rss_mb
    return found


def _setting(url: str, name: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    return str(row[0]) if row else ""


@contextmanager
def database_in(folder: Path) -> Iterator[str]:
    script = [str(ROOT / "scripts" / "timescaledb.sh"), "--data", str(folder)]
    subprocess.run(
        [*script, "up", "--set", "track_commit_timestamp=on"], check=True, stdout=subprocess.DEVNULL
    )
    try:
        url = subprocess.run([*script, "url"], check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run(
            [sys.executable, "-m", "src", "migrate"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
            env=environment(DATABASE_URL=url),
        )
        yield url
    finally:
        subprocess.run([*script, "destroy"], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def sandbox_in(folder: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """A sandbox of SYMBOLS symbols; ``arguments`` are given besides, and win."""
    command = [sys.executable, "-m", "src.sandbox", "--symbols", str(SYMBOLS), *arguments]
    with (folder / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(),
            start_new_session=True,
        )
        _goes_last(process.pid)
        try:
            yield json.loads(_first_line(process))
        finally:
            stop(process)


def _goes_last(pid: int) -> None:
    """The sandbox stands for machines elsewhere: it should take nothing away from the daemon and the database."""
    os.setpriority(os.PRIO_PROCESS, pid, 10)
    group = Path(f"/proc/{pid}/autogroup")  # Linux may count niceness within a session only: sched(7)
    if group.exists():
        group.write_text("10")


def settings_of(folder: Path, url: str, venue: dict[str, Any]) -> dict[str, str]:
    return environment(
        DATABASE_URL=url,
        BINANCE_REST_URL=venue["rest_url"],
        BINANCE_WS_URL=venue["ws_url"],
        BINANCE_ARCHIVE_URL=venue["archive_url"],
        BINANCE_ARCHIVE_LIST_URL=venue["archive_list_url"],
        BINANCE_ALPHA_URL=venue["alpha_url"],
        ARCHIVE_FOLDER=str(folder / "archive"),
        METRICS_PORT="0",
        API_PORT="0",
        GRPC_PORT="0",
        LOG_FORMAT="json",
    )


@contextmanager
def daemon_on(folder: Path, settings: dict[str, str], *arguments: str) -> Iterator[Process]:
    """A running daemon, ``--ws`` without other arguments; its log lies in ``folder``."""
    run_file = folder / "daemon.run"
    settings = {**settings, "MARKETD_RUN_FILE": str(run_file)}
    with (folder / "daemon.log").open("wb") as log:
        command = [sys.executable, "-m", "src", *(arguments or ("--ws",))]
        # A session of its own, as under scripts/start.sh and systemd.
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, env=settings, start_new_session=True
        )
        try:
            while not run_file.exists():
                if process.poll() is not None:
                    raise RuntimeError((folder / "daemon.log").read_text()[-2000:])
                time.sleep(0.1)
            pid, port = run_file.read_text().split()
            yield Process(int(pid), int(port))
        finally:
            stop(process)


def environment(**settings: str) -> dict[str, str]:
    """The machine's environment without any setting of marketd but those given."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "XDG_CACHE_HOME") if name in os.environ
    }
    return kept | settings


def _first_line(process: subprocess.Popen[bytes]) -> str:
    if process.stdout is None or not (line := process.stdout.readline()):
        raise RuntimeError("the sandbox did not start")
    return line.decode()


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
