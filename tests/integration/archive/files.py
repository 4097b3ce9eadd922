"""Archive files on disk for import tests, and the listing without which no row is admitted."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from src.adapters.binance.archive.paths import BinanceLayout, file_name, member_name
from src.adapters.timescale.importing.importer import ArchiveImports, ImporterOptions
from src.adapters.timescale.options import DatabaseOptions, ServerUrl
from src.model import ArchiveFile, Dataset, Span
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import fetch
from tests.support.zips import zipped

DAY = date(2026, 2, 1)


@dataclass(frozen=True)
class LocalFile:
    """A file as the client hands it over."""

    file: ArchiveFile
    path: Path
    sha256: str


def local_file(
    folder: Path, text: bytes, symbol: str = "BTCUSDT", day: date = DAY, span: Span = Span.DAILY
) -> LocalFile:
    """``text`` zipped as the venue does it."""
    file = BinanceLayout().file(Dataset.CANDLES, span, symbol, symbol, day)
    data = zipped({member_name(file): text})
    path = folder / file_name(file)
    path.write_bytes(data)
    return LocalFile(file, path, hashlib.sha256(data).hexdigest())


def real_months(folder: Path) -> list[tuple[str, date, bytes]]:
    """Symbol, first day and text of each real month."""
    found = []
    for path in sorted((folder / "klines_1m").glob("*.csv.gz")):
        symbol, _, label = path.name.removesuffix(".csv.gz").partition("-1m-")
        found.append((symbol, date.fromisoformat(f"{label}-01"), gzip.decompress(path.read_bytes())))
    return found


async def list_symbol(url: str, symbol: str, since: str = "2019-09-01", until: str = "infinity") -> None:
    """A listing interval of ``symbol``."""
    await fetch(
        url,
        "INSERT INTO instruments (exchange, symbol, onboard_ts, end_ts, contract_type, status, base, quote,"
        " archive_symbol, origin) VALUES ('binance_futures_um', %s, %s, %s, 'PERPETUAL', 'TRADING', 'X', 'USDT', %s,"
        " 'archive')",
        (symbol, since, until, symbol),
    )


@asynccontextmanager
async def importer(
    url: str | ServerUrl, metrics: Metrics | None = None, workers: int = 1, deadline_s: float = 120.0
) -> AsyncIterator[ArchiveImports]:
    """Import processes on ``url`` until the block ends."""
    options = ImporterOptions(workers=workers, deadline_s=deadline_s)
    imports = ArchiveImports(DatabaseOptions(url), options, metrics or Metrics())
    try:
        yield imports
    finally:
        await imports.close()
