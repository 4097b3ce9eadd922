"""A dump put back into another server, and the first schema of all, with data, brought up to the newest."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from src.adapters.timescale.candles.repair import RepairStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.schema.migrations import MigrationOptions, migrate, pending_migrations
from src.adapters.timescale.sessions.shared import SharedSession
from src.model import MINUTE_MS, Authority
from src.paths import sql_root
from tests.integration.export.world import EXCHANGE, NEW_YEAR_MS, candles, contents, fill
from tests.support.cluster import Cluster
from tests.support.processes import ROOT

_FIRST = "0001_candles.sql"
_ROWS = 200


@pytest.fixture
def other(own_clusters: Path) -> Iterator[Cluster]:
    """A second server, as `scripts/timescaledb.sh up` makes it: no table of ours."""
    made = Cluster(own_clusters / f"{os.getpid()}-other")
    try:
        made.start()
        yield made
    finally:
        made.destroy()


async def test_a_dump_is_restored_into_another_server(
    cluster: Cluster, other: Cluster, tmp_path: Path
) -> None:
    """Row for row; and the tables there are hypertables, which take rows into old chunks and into new ones."""
    await fill(cluster.url)
    before = contents(cluster.url)
    file = tmp_path / "market.dump"
    assert _backup(cluster, "dump", file) == ""
    assert _backup(other, "restore", file) == ""
    assert contents(other.url) == before
    assert _chunks(other.url) == _chunks(cluster.url) > 0
    assert await pending_migrations(other.url, "market_data") == []
    await _write(other.url, NEW_YEAR_MS + 7 * MINUTE_MS)
    await _write(other.url, NEW_YEAR_MS + 100 * 1440 * MINUTE_MS)
    assert _chunks(other.url) > _chunks(cluster.url)
    assert "already; restore into a new cluster" in _backup(other, "restore", file)


async def test_a_damaged_dump_is_refused(cluster: Cluster, other: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "market.dump"
    assert _backup(cluster, "dump", file) == ""
    file.write_bytes(file.read_bytes()[:1000])
    assert "is damaged" in _backup(other, "restore", file)


async def test_the_first_schema_with_data_is_brought_up_to_the_newest(
    empty_database: str, tmp_path: Path
) -> None:
    """What was stored when there was one migration is there after all of them, and takes part in what they brought."""
    first = Path(shutil.copytree(sql_root(), tmp_path / "sql"))
    for path in sorted((first / "migrations").glob("*.sql")):
        if path.name != _FIRST:
            path.unlink()
    frozen = hashlib.sha256((first / "migrations" / _FIRST).read_bytes()).hexdigest()
    assert f"{frozen}  migrations/{_FIRST}" in (sql_root() / "migrations" / "frozen.txt").read_text()
    _as_it_began(empty_database, (first / "migrations" / _FIRST).read_text(encoding="utf-8"))
    assert await migrate(MigrationOptions(empty_database)) != []
    assert await pending_migrations(empty_database, "market_data") == []
    with psycopg.connect(empty_database, options="-c search_path=market_data,public") as connection:
        stored = connection.execute(
            "SELECT symbol, close, source, authority FROM candles_1m ORDER BY bucket_ts"
        ).fetchall()
        assert stored == [("BTCUSDT", float(number), "binance_ws", 1) for number in range(1, _ROWS + 1)]
    # A row that knows more replaces one of then, and the ledger counts what is new.
    await _write(empty_database, NEW_YEAR_MS)
    with psycopg.connect(empty_database, options="-c search_path=market_data,public") as connection:
        [(number, revised)] = connection.execute(
            "SELECT (SELECT count(*) FROM candles_1m), (SELECT count(*) FROM candle_revisions)"
        ).fetchall()
    assert (number, revised) == (_ROWS, 1)


def _as_it_began(url: str, statements: str) -> None:
    """The table of the first day with its line in the ledger, and a day of rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA market_data")
        connection.execute("SET search_path = market_data, public")
        connection.execute("SET marketd.chunk_days = '7'")
        connection.execute(
            "CREATE TABLE schema_migration (name text PRIMARY KEY, sha256 text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        connection.execute(statements.encode())
        connection.execute(
            "INSERT INTO schema_migration (name, sha256) VALUES (%s, %s)",
            [f"migrations/{_FIRST}", hashlib.sha256(statements.encode()).hexdigest()],
        )
        connection.execute(
            "INSERT INTO candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume, authority, source)"
            " SELECT %s, 'BTCUSDT', to_timestamp(%s::double precision / 1000) + number * interval '1 minute',"
            " 1, 1000, 0.5, number + 1, 5, 1, 'binance_ws' FROM generate_series(0, %s - 1) AS number",
            [EXCHANGE, NEW_YEAR_MS, _ROWS],
        )


async def _write(url: str, open_ms: int) -> None:
    """One row of the archive, which knows more than any other."""
    row = replace(
        candles("BTCUSDT")[60], open_ms=open_ms, authority=Authority.ARCHIVE, source="binance_archive", revision=50,
        taker_buy_volume=0.0,
    )  # fmt: skip
    session = SharedSession(DatabaseOptions(url, exchange=EXCHANGE), purpose="test")
    try:
        result = await RepairStore(session).write([row])
    finally:
        await session.close()
    assert result.inserted + result.replaced == 1


def _chunks(url: str) -> int:
    with psycopg.connect(url, options="-c search_path=market_data,public") as connection:
        [(number,)] = connection.execute("SELECT count(*) FROM show_chunks('candles_1m')").fetchall()
    return int(number)


def _backup(cluster: Cluster, command: str, file: Path) -> str:
    """What it complained of when it failed; nothing when it did not."""
    done = subprocess.run(
        [str(ROOT / "scripts" / "backup.sh"), "--data", str(cluster.folder), command, str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done.stderr if done.returncode else ""
