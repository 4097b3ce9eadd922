"""E13, E14: the disk that holds the candles, or the server's log of changes, is full. A small disk of the run's own, in
a mount namespace of its own."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from tests.faults.database import ask, check_books, session
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.namespaces import inside, run_inside
from tests.support.templates import with_database
from tests.support.world import open_world

pytestmark = [pytest.mark.fault, pytest.mark.root]

_DISK_MB = 24
"""The run writes a few megabytes; the ballast takes the rest."""
_PIECE = bytes(64 * 1024)
_ROOM_MB, _MORE_MB = 24, 512
"""What the log of changes may grow by: one more segment of 16 MB; and what it has in the end."""
_USE_UP: LiteralString = "SELECT pg_logical_emit_message(false, 'fault run', 'x'), pg_switch_wal()"
"""Each takes a segment."""

_CHUNKS: LiteralString = (
    "SELECT count(*), count(*) FILTER (WHERE space.spcname = 'small') FROM pg_class AS chunk"
    " JOIN pg_inherits ON inhrelid = chunk.oid AND inhparent = 'market_data.candles_1m'::regclass"
    " LEFT JOIN pg_tablespace AS space ON space.oid = chunk.reltablespace"
)
"""How many chunks the candles have, and how many of them are on the small disk."""


async def test_e13_data_disk_full(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """53100: what was counted is stored, the buffer holds the rest, and room is all that it takes to go on."""
    if not inside():
        await run_inside(request, "--mount", prepare=[])
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    with small_disk(cluster) as disk:
        async with open_world(tmp_path, cluster.url) as world:
            await _put_candles_on(
                disk, with_database(cluster.admin_url, world.database_url.rpartition("/")[2])
            )
            await world.begin()
            await world.live_rows(2)
            [(chunks, there)] = await ask(world.database_url, _CHUNKS)
            assert chunks == there != 0, "the candles are on another disk"
            async with world.daemon.readiness() as readiness:
                ballast = await asyncio.to_thread(fill, disk)
                await world.daemon.wait_metric("database_errors_total", 2, sqlstate_class="53")
                assert "No space left on device" in cluster.log(), "the fault did not fire"
                await check_books(world)
                await world.live_rows(2)
                seen = await world.daemon.metrics()
                assert seen.total("buffer_rows") >= 2 * len(world.venue.symbols), "the buffer took nothing"
                assert seen.total("rows_rejected_total") == seen.total("rows_dropped_total") == 0
                await eventually(lambda: not readiness.now, timeout=60)
                ballast.unlink()
                await eventually(lambda: readiness.now, timeout=60)
                await world.live_rows(2)
                await world.finish(readiness=readiness)


async def test_e14_wal_disk_full(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The server ends itself (PANIC). After the disk was made larger and it was started, what was counted is stored."""
    if not inside():
        await run_inside(request, "--mount", prepare=[])
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    with small_log(cluster) as disk:
        async with open_world(tmp_path, cluster.url) as world:
            await world.begin()
            await world.live_rows(2)
            async with world.daemon.readiness() as readiness:
                await asyncio.to_thread(fill, disk)
                await _use_up(cluster)
                await world.daemon.wait_metric("flush_total", 1, result="retried")
                log = cluster.log()
                assert "PANIC" in log and "No space left on device" in log, "the fault did not fire"
                await eventually(lambda: not readiness.now, timeout=120)
                await world.live_rows(2)
                await world.database.refuse()
                await asyncio.to_thread(cluster.stop, immediate=True)
                await asyncio.to_thread(_enlarge, disk)
                await asyncio.to_thread(cluster.start)
                await check_books(world)
                await world.database.listen()
                await eventually(lambda: readiness.now, timeout=120)
                await world.live_rows(2)
                await world.finish(readiness=readiness)


async def _use_up(cluster: Cluster) -> None:
    """Make the server write changes until it cannot."""
    with pytest.raises(psycopg.OperationalError):
        async with session(cluster.admin_url) as admin:
            for _ in range(100):
                await admin.execute(_USE_UP)


@contextmanager
def small_log(cluster: Cluster) -> Iterator[Path]:
    """A tmpfs where the server writes its log of changes, in our namespace only."""
    wal = cluster.folder / "data" / "pg_wal"
    before = wal.with_name("pg_wal.before")
    cluster.stop()
    wal.rename(before)
    wal.mkdir()
    used = sum(file.stat().st_size for file in before.rglob("*") if file.is_file())
    size = f"size={used + _ROOM_MB * 1024 * 1024},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(wal)], check=True)
    subprocess.run(["chown", "--reference", str(before), str(wal)], check=True)
    subprocess.run(["cp", "-a", f"{before}/.", str(wal)], check=True)
    cluster.start()
    try:
        yield wal
    finally:
        cluster.stop(immediate=True)
        subprocess.run(["umount", str(wal)], check=True)


def _enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,size={_MORE_MB}m", str(disk)], check=True)


@contextmanager
def small_disk(cluster: Cluster) -> Iterator[Path]:
    """A tmpfs in the server's folder, which its processes see because they start after it; in our namespace only."""
    disk = cluster.folder / "small"
    cluster.stop()
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(disk)], check=True)
    (disk / "space").mkdir(mode=0o700)
    cluster.start()
    try:
        yield disk
    finally:
        cluster.stop(immediate=True)
        subprocess.run(["umount", str(disk)], check=True)


async def _put_candles_on(disk: Path, admin_url: str) -> None:
    async with session(admin_url) as admin:
        place = psycopg.sql.SQL("CREATE TABLESPACE small LOCATION {}").format(str(disk / "space"))
        await admin.execute(place)
        await admin.execute("GRANT CREATE ON TABLESPACE small TO PUBLIC")
        await admin.execute("SELECT public.attach_tablespace('small', 'market_data.candles_1m')")


def fill(disk: Path) -> Path:
    """A file that takes all room that is left."""
    ballast = disk / "ballast"
    with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(_PIECE)
    return ballast
