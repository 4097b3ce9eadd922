"""E13: the disk that holds the candles is full. A small disk of the run's own, in a mount namespace of its own."""

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
