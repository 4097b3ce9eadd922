"""``import``: archive files into a hypertable, against psql's ``\\copy`` of the same rows, prepared, in the same run.

Seven real months of 1m candles under three names each (846,720 rows; made-up ones where there is no real data), as
the ZIP files that the venue publishes. Every figure is the median of several rounds, which take turns; each round
begins with an empty table without chunks and a checkpoint. fsync and synchronous_commit stay on.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import uvloop

from src.adapters.binance.archive.paths import BinanceLayout, file_name, member_name
from src.adapters.timescale.importing.importer import FILES_EACH, ArchiveImports, ImporterOptions
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.model import MINUTE_MS, ArchiveFile, Dataset, Span
from src.telemetry.metrics import Metrics

ROUNDS = int(os.environ.get("MARKETD_IMPORT_ROUNDS", "5"))
COPIES = 3
_ROOT = Path(__file__).resolve().parents[1]
_SCRIPT = _ROOT / "scripts" / "timescaledb.sh"
_MONTH = date(2026, 2, 1)
_FIRST_MS = 1_769_904_000_000
_MINUTES = 28 * 1440
_EXCHANGE = "binance_futures_um"
_COLUMNS = (
    "exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,"
    " taker_buy_quote_volume, source, authority, revision"
)


@dataclass(frozen=True, slots=True)
class _File:
    file: ArchiveFile
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class _Stage:
    """Where it happens: connection strings, the cluster's folder, the files and the prepared CSV of the same rows."""

    url: str
    admin_url: str
    cluster: Path
    files: list[_File]
    prepared: Path
    rows: int


def run() -> dict[str, object]:
    """{rows_per_s, psql_copy_rows_per_s, rows, ratio, two_worker_ratio, reimport_rows_per_s, reimport_rows_written}."""
    folder = Path(tempfile.mkdtemp(prefix="marketd-import-"))
    try:
        with _database(folder / "pg") as (url, admin_url):
            texts, real = _texts()
            stage = _stage(folder, url, admin_url, texts)
            return {**_measure(stage), "rows": stage.rows, "real_data": real, **_settings(url)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(stage: _Stage) -> dict[str, object]:
    psql, one, two, again = [], [], [], []
    written = 0
    for _ in range(ROUNDS):
        psql.append(_timed(stage, lambda: _psql_copy(stage)))
        one.append(_timed(stage, lambda: _import(stage, workers=1)))
        seconds, changed = _import_again(stage)
        again.append(seconds)
        written += changed
        two.append(_timed(stage, lambda: _import(stage, workers=2)))
    rates = {
        name: round(stage.rows / statistics.median(times))
        for name, times in (("psql", psql), ("one", one), ("two", two), ("again", again))
    }
    return {
        "rows_per_s": rates["one"],
        "psql_copy_rows_per_s": rates["psql"],
        "ratio": round(rates["one"] / rates["psql"], 2),
        "two_worker_rows_per_s": rates["two"],
        "two_worker_ratio": round(rates["two"] / rates["psql"], 2),
        "reimport_rows_per_s": rates["again"],
        "reimport_rows_written": written,
        "rounds": ROUNDS,
    }


def _timed(stage: _Stage, work: Callable[[], float]) -> float:
    """Wall seconds of ``work`` on an empty table; all rows must be there afterwards."""
    with psycopg.connect(stage.admin_url, autocommit=True) as connection:
        connection.execute("SET search_path = market_data, public")
        connection.execute("TRUNCATE candles_1m, coverage_days, archive_files")
        connection.execute("CHECKPOINT")
        seconds = work()
        found = connection.execute("SELECT count(*) FROM candles_1m").fetchone()
    if found is None or found[0] != stage.rows:
        raise RuntimeError(f"{found} of {stage.rows} rows are there")
    return seconds


def _psql_copy(stage: _Stage) -> float:
    command = f"\\copy market_data.candles_1m ({_COLUMNS}) FROM '{stage.prepared}' (FORMAT CSV)"
    started = time.perf_counter()
    subprocess.run(
        [
            str(_SCRIPT),
            "--data",
            str(stage.cluster),
            "psql",
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            command,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - started


def _import(stage: _Stage, workers: int, *, force: bool = False) -> float:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_imports(stage, workers, force=force))


async def _imports(stage: _Stage, workers: int, *, force: bool) -> float:
    """Processes are started before the clock: a filling of years starts them once."""
    imports = ArchiveImports(DatabaseOptions(stage.url), ImporterOptions(workers=workers), Metrics())
    try:
        await imports.start()
        started = time.perf_counter()
        places = asyncio.Semaphore(workers * FILES_EACH)

        async def one(file: _File) -> None:
            async with places:
                await imports.import_file(file.file, file.path, file.sha256, force=force)

        async with asyncio.TaskGroup() as group:
            for file in stage.files:
                group.create_task(one(file), name=file.path.name)
        return time.perf_counter() - started
    finally:
        await imports.close()


def _import_again(stage: _Stage) -> tuple[float, int]:
    """Wall seconds of comparing everything, and how many rows have another version afterwards."""
    versions = "SELECT count(*) FROM candles_1m WHERE xmin::text::bigint >= %s OR xmax::text::bigint >= %s"
    with psycopg.connect(stage.url, autocommit=True) as connection:
        connection.execute("SET search_path = market_data, public")
        now = connection.execute("SELECT (pg_current_xact_id()::text::bigint) % 4294967296").fetchone()
        seconds = _import(stage, workers=1, force=True)
        changed = connection.execute(versions, (now or (0,)) * 2).fetchone()
    return seconds, changed[0] if changed else 0


def _stage(folder: Path, url: str, admin_url: str, texts: list[bytes]) -> _Stage:
    asyncio.run(_migrated(url))
    files: list[_File] = []
    prepared = folder / "prepared.csv"
    rows = 0
    with prepared.open("w", encoding="ascii") as csv, psycopg.connect(url, autocommit=True) as connection:
        for number in range(COPIES * len(texts)):
            symbol, text = f"M{number:02}USDT", texts[number % len(texts)]
            files.append(_zipped(folder, symbol, text))
            connection.execute(
                "INSERT INTO market_data.instruments (exchange, symbol, onboard_ts, contract_type, status, base, quote,"
                " archive_symbol, origin) VALUES (%s, %s, '2019-09-01', 'PERPETUAL', 'TRADING', 'M', 'USDT', %s,"
                " 'archive')",
                (_EXCHANGE, symbol, symbol),
            )
            for line in text.decode().splitlines()[1:]:
                csv.write(_prepared_line(symbol, line.split(",")))
                rows += 1
    return _Stage(url, admin_url, folder / "pg", files, prepared, rows)


async def _migrated(url: str) -> None:
    await migrate(MigrationOptions(url))


def _zipped(folder: Path, symbol: str, text: bytes) -> _File:
    file = BinanceLayout().file(Dataset.CANDLES, Span.MONTHLY, symbol, symbol, _MONTH)
    path = folder / file_name(file)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member_name(file), text)
    return _File(file, path, hashlib.sha256(path.read_bytes()).hexdigest())


def _prepared_line(symbol: str, cells: list[str]) -> str:
    moment = datetime.fromtimestamp(int(cells[0]) / 1000, UTC)
    values = ",".join((*cells[1:6], *cells[7:11]))
    return f"{_EXCHANGE},{symbol},{moment:%Y-%m-%d %H:%M:%S}+00,{values},binance_archive,3,0\n"


def _texts() -> tuple[list[bytes], bool]:
    folder = Path(os.environ.get("MARKETD_TEST_DATA") or _ROOT.parent / "shared" / "data") / "klines_1m"
    paths = sorted(folder.glob("*-2026-02.csv.gz"))
    if paths:
        return [gzip.decompress(path.read_bytes()) for path in paths], True
    return [_made_up(seed) for seed in range(7)], False


def _made_up(seed: int) -> bytes:
    """A month with as many digits as real ones have."""
    chance = random.Random(seed)
    price = 1000 * chance.random() + 1
    lines = ["open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"]
    lines[0] += "taker_buy_quote_volume,ignore"
    for minute in range(_MINUTES):
        opened = _FIRST_MS + minute * MINUTE_MS
        close = max(price + chance.gauss(0, price / 2000), 0.01)
        high, low = max(price, close) * 1.0005, min(price, close) * 0.9995
        volume = chance.expovariate(1 / 5000)
        taker = volume * chance.random()
        lines.append(
            f"{opened},{price:.4f},{high:.4f},{low:.4f},{close:.4f},{volume:.1f},{opened + MINUTE_MS - 1},"
            f"{volume * price:.4f},{chance.randrange(1, 2000)},{taker * 0.999:.1f},{taker * low * 0.99:.4f},0"
        )
        price = float(f"{close:.4f}")
    return "\n".join(lines).encode() + b"\n"


@contextmanager
def _database(folder: Path) -> Iterator[tuple[str, str]]:
    script = [str(_SCRIPT), "--data", str(folder)]
    try:
        subprocess.run([*script, "up"], check=True, stdout=subprocess.DEVNULL)
        urls = [
            subprocess.run([*script, "url", *more], check=True, capture_output=True, text=True).stdout.strip()
            for more in ([], ["--admin"])
        ]
        yield urls[0], urls[1]
    finally:
        subprocess.run([*script, "destroy"], check=False, stdout=subprocess.DEVNULL)


def _settings(url: str) -> dict[str, object]:
    names = ["fsync", "synchronous_commit", "server_version"]
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [names])
        return {name: value == "on" if value in {"on", "off"} else value for name, value in found}
