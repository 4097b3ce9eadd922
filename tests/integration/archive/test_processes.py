"""Fault D4 with a real kill -9, what a daemon that was killed leaves behind, and who waits for whom in the database."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from src.adapters.binance.archive.paths import BinanceLayout
from src.adapters.timescale.options import ServerUrl
from src.model import DAY_MS, MINUTE_MS, Dataset, Span, WriteResult
from tests.integration.timescale.helpers import CANDLE, connect, fetch, opened
from tests.support.archive_server import archive_server
from tests.support.eventually import eventually
from tests.support.processes import ROOT
from tests.support.zips import FIRST_MS, csv_text

from .files import importer, list_symbol, local_file

FILE = BinanceLayout().file(Dataset.CANDLES, Span.DAILY, "BTCUSDT", "BTCUSDT", date(2026, 2, 1))
CONTENT = b"PK\x03\x04" + bytes(range(256)) * 4000

_DOWNLOAD = """
import asyncio, sys
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from src.adapters.binance.archive.client import ArchiveOptions, BinanceArchive
from src.adapters.binance.archive.paths import BinanceLayout
from src.clock import VenueClock
from src.model import Dataset, Span
from src.telemetry.metrics import Metrics

async def main(url, folder):
    permits = SimpleNamespace(permit=lambda weight, priority: nullcontext())
    archive = BinanceArchive(ArchiveOptions(f"{url}/archive", f"{url}/list"), permits, VenueClock(), Metrics())
    await archive.open()
    file = BinanceLayout().file(Dataset.CANDLES, Span.DAILY, "BTCUSDT", "BTCUSDT", date(2026, 2, 1))
    print((await archive.fetch(file, Path(folder)))[1], flush=True)
    await archive.close()

asyncio.run(main(*sys.argv[1:]))
"""

_IMPORTS = """
import asyncio
from src.adapters.timescale.importing.importer import ArchiveImports, ImporterOptions
from src.adapters.timescale.options import DatabaseOptions
from src.telemetry.metrics import Metrics

async def main():
    imports = ArchiveImports(DatabaseOptions("postgresql://nobody@127.0.0.1:1/none"), ImporterOptions(), Metrics())
    await imports.start()
    print(*imports.processes, flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""

_STOPPED = """
import asyncio, sys, uvloop
from pathlib import Path
from src.adapters.timescale.importing.job import WorkerOptions
from src.adapters.timescale.importing.process import ImportProcess

def children():
    return any((task / "children").read_text() for task in Path("/proc/self/task").iterdir())

async def main():
    options = WorkerOptions("postgresql://nobody@127.0.0.1:1/none", "s", "e", "a", "b")
    start = asyncio.create_task(ImportProcess.start(options, deadline_s=60))
    while not children():
        await asyncio.sleep(0)
    for _ in range(int(sys.argv[1])):
        await asyncio.sleep(0.001)
    start.cancel()
    try:
        await start
    except asyncio.CancelledError:
        print("gone" if not children() else "there", flush=True)

uvloop.run(main())
"""


@asynccontextmanager
async def child(code: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_killed_in_a_download_there_is_no_final_file_and_the_next_run_goes_on(tmp_path: Path) -> None:
    part = tmp_path / "BTCUSDT-1m-2026-02-01.zip.part"
    final = part.with_suffix("")
    async with archive_server() as server:
        server.put(FILE.path, CONTENT)
        server.cut_after, server.cut_when = 400_000, lambda: False
        async with child(_DOWNLOAD, server.url, str(tmp_path)) as process:
            await eventually(lambda: part.exists() and part.stat().st_size >= 256 * 1024, timeout=60)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        assert not final.exists()
        size = part.stat().st_size
        server.cut_after = None
        async with child(_DOWNLOAD, server.url, str(tmp_path)) as process:
            assert await process.wait() == 0
        assert final.read_bytes() == CONTENT
        assert server.requests(FILE.path)[-1] == f"bytes={size}-"
        assert not part.exists()


async def test_import_processes_end_with_a_daemon_that_was_killed() -> None:
    async with child(_IMPORTS) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in (await process.stdout.readline()).split()]
        assert len(pids) == 2
        for pid in pids:
            os.kill(
                pid, signal.SIGTERM
            )  # the service manager's, for the whole group: they wait for the daemon
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await eventually(lambda: not any(_lives(pid) for pid in pids))


async def test_an_import_process_that_starts_for_nobody_ends_without_a_word() -> None:
    """Its parent was killed while it loaded what it needs."""
    nobody, end = os.pipe()
    os.close(nobody)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "src.adapters.timescale.importing.worker",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=end,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    os.close(end)
    _, said = await process.communicate()
    assert said == b""


@pytest.mark.parametrize("turns", [0, 100], ids=["not-running-yet", "loading"])
async def test_an_import_process_that_is_given_up_while_it_starts_leaves_nothing_open(turns: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "default::ResourceWarning", "-c", _STOPPED, str(turns)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert await process.communicate() == (b"gone\n", b"")


async def test_a_process_with_the_old_password_gets_no_more_files(database: str, tmp_path: Path) -> None:
    await list_symbol(database, "BTCUSDT")
    url = ServerUrl(database)
    first, second = (local_file(tmp_path, csv_text(2), day=date(2026, 2, day)) for day in (1, 2))
    async with importer(url) as imports:
        await imports.import_file(first.file, first.path, first.sha256)
        [old] = imports.processes
        url.become(f"{database}?connect_timeout=7")
        await imports.import_file(second.file, second.path, second.sha256)
        [new] = imports.processes
        assert new != old
        await eventually(lambda: not Path(f"/proc/{old}").exists(), message="the old one ends")


async def test_live_writes_and_other_months_do_not_wait_for_an_import(database: str, tmp_path: Path) -> None:
    await list_symbol(database, CANDLE.symbol)
    local = local_file(tmp_path, csv_text())
    same_chunk = [replace(CANDLE, open_ms=FIRST_MS - MINUTE_MS)]
    new_chunk = [replace(CANDLE, open_ms=FIRST_MS + 40 * DAY_MS)]
    async with (
        importer(database, workers=2) as imports,
        opened(database) as store,
        await connect(database) as blocker,
    ):
        await blocker.execute("BEGIN")
        await blocker.execute("LOCK TABLE archive_files IN SHARE MODE")  # the import's last statement waits
        task = asyncio.create_task(imports.import_file(local.file, local.path, local.sha256))
        await eventually(lambda: _waits(database, "relation"), timeout=60)
        again = asyncio.create_task(imports.import_file(local.file, local.path, local.sha256))
        await eventually(lambda: _waits(database, "advisory"), timeout=60)
        async with asyncio.timeout(60):
            assert (await store.write(same_chunk, [])).inserted == 1
            assert (await store.write(new_chunk, [])).inserted == 1
        assert not task.done()
        await blocker.execute("COMMIT")
        assert await task == WriteResult(1440, 0, 0)
        assert (await again).unchanged == 1440
    assert await fetch(database, "SELECT sum(have) FROM coverage_days") == [(1442,)]


async def _waits(url: str, event: str) -> bool:
    return bool(
        await fetch(
            url,
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = %s"
            " AND application_name LIKE 'marketd/import/%%' AND datname = current_database()",
            (event,),
        )
    )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
