"""The part of ``scale`` about machines: files of trades, imported by ``marketd worker`` on one machine and on two.

``python -m benchmarks.scale_machines`` prints it as JSON; it must be started in a network namespace of its own (root),
which ``machine_rates`` does. The machines are namespaces with a cable each, and share the cores of this computer.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.live import database_in, usage
from benchmarks.scale_costs import costs
from benchmarks.scale_inside import let_machines_in, measured_inside
from src.adapters.queue import JobQueue, QueueOptions
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.pool import make_pool
from src.model import Task
from src.telemetry.metrics import Metrics
from tests.support.daemon import Daemon
from tests.support.machines import Machine, machine
from tests.support.trade_files import futures_text, sample

MACHINES = (1, 2)
_FILES = 10
_TRADES = 120_000
"""A day of the file's trades, one every 700 ms."""
_DONE = (
    "SELECT count(*) FILTER (WHERE state = 'SUCCESS'), count(*) FILTER (WHERE state IN ('FAILED', 'CANCELLED')),"
    " extract(epoch FROM max(finished_at) - min(started_at))::float8, max(error) FROM tasks WHERE task_id LIKE %s"
)


def machine_rates() -> list[dict[str, Any]]:
    """For each number of machines: rows a second, CPU seconds of server and workers for a million rows, bytes a row.

    Empty where namespaces cannot be made.
    """
    return measured_inside("benchmarks.scale_machines")


async def _measured() -> list[dict[str, object]]:
    folder = Path(tempfile.mkdtemp(prefix="marketd-scale-"))
    try:
        _write_files(folder / "files")
        with database_in(folder / "pg") as url:
            let_machines_in(folder / "pg")
            async with AsyncExitStack() as stack:
                places = [await stack.enter_async_context(machine()) for _ in range(max(MACHINES))]
                settings = {
                    "DATABASE_URL": url,
                    "TASK_CONCURRENCY": "1",
                    "COLLECT_DIR": str(folder / "files"),
                    "ARCHIVE_FOLDER": str(folder / "archive"),
                    "BINANCE_REST_URL": "http://127.0.0.1:9",
                    "SCHEDULES": "",
                }
                return [await _with(folder, settings, places[:number]) for number in MACHINES]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _with(folder: Path, settings: dict[str, str], places: list[Machine]) -> dict[str, object]:
    url, count = settings["DATABASE_URL"], len(places)
    workers = [Daemon(settings, folder=folder, arguments=("worker",)).on(place) for place in places]
    try:
        for worker in workers:
            worker.start()
        # The first file of each starts what imports.
        await _asked(
            url, f"warm{count}", [f"W{count}{number}USDT" for number in range(2 * count)], percentage=10
        )
        before, own_before = costs(folder / "pg", url), _own_cpu_s(workers)
        symbols = [f"M{count}{number:02}USDT" for number in range(_FILES)]
        seconds = await _asked(url, f"of{count}", symbols)
        server, own = costs(folder / "pg", url).since(before), _own_cpu_s(workers) - own_before
    finally:
        for worker in workers:
            await worker.kill()
    rows = _FILES * _TRADES
    return {
        "machines": count,
        "rows": rows,
        "seconds": round(seconds, 1),
        "rows_per_s": round(rows / seconds),
        "server_cpu_s_per_million": round(server.cpu_s / rows * 1e6, 2),
        "workers_cpu_s_per_million": round(own / rows * 1e6, 2),
        "wal_bytes_per_row": round(server.wal_bytes / rows),
        "bytes_per_row": _bytes_per_row(url),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def _own_cpu_s(workers: list[Daemon]) -> float:
    """Of the workers and of the processes that import for them, which stay while there is something to do."""
    total = 0.0
    for worker in workers:
        pid = worker.child.pid
        total += usage(pid).cpu_s
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            total += usage(int(child)).cpu_s
    return total


def _bytes_per_row(url: str) -> float:
    """On disk, with keys and all that belongs to the table."""
    with psycopg.connect(url, options="-c search_path=market_data,public") as connection:
        row = connection.execute(
            "SELECT hypertable_size('agg_trades')::float8 / count(*) FROM agg_trades"
        ).fetchone()
    return round(float(row[0]), 1) if row else 0.0


async def _asked(url: str, name: str, symbols: list[str], *, percentage: float = 100) -> float:
    """Ask for a file of each symbol, and wait: seconds from the first one's start to the last one's end."""
    pool = make_pool(DatabaseOptions(url), purpose="jobs", size=2)
    await pool.open()
    queue = JobQueue(pool, Metrics(), QueueOptions())
    await queue.open()
    for symbol in symbols:
        asked = {"symbol": symbol, "market": "futures", "import_percentage": percentage}
        task = Task(f"{name} {symbol}", "CollectBinance", asked)
        await queue.ask(task, subject=f"CollectBinance/futures/{symbol}")
    await pool.close()
    while True:
        done, failed, seconds, error = _state(url, f"{name} %")
        if failed:
            raise RuntimeError(f"{failed} tasks failed: {error}")
        if done == len(symbols):
            return seconds
        await asyncio.sleep(0.2)


def _state(url: str, names: str) -> tuple[int, int, float, str]:
    with psycopg.connect(url, options="-c search_path=market_data,public") as connection:
        row = connection.execute(_DONE, [names]).fetchone()
    return row or (0, 0, 0.0, "")


def _write_files(folder: Path) -> None:
    folder.mkdir()
    text = futures_text(sample(number) for number in range(_TRADES))
    first = folder / "first.csv"
    first.write_bytes(text)
    for count in MACHINES:
        names = [f"W{count}{number}USDT" for number in range(2 * count)]
        names += [f"M{count}{number:02}USDT" for number in range(_FILES)]
        for name in names:
            (folder / f"{name}-aggTrades-2026-02-01.csv").hardlink_to(first)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measured())))
