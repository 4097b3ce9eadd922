"""From the venue's archive into the database, with the sandbox as the venue."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from datetime import date
from pathlib import Path

import pytest

from src.adapters.binance.archive.client import ArchiveOptions, BinanceArchive
from src.adapters.binance.archive.paths import BinanceLayout, symbol_of
from src.adapters.timescale.importing.importer import ArchiveImports
from src.clock import VenueClock
from src.errors import BadData, NotPublished
from src.model import ArchiveFile, Dataset, Span, WriteResult
from src.ports import Priority
from src.telemetry.metrics import Metrics
from tests.integration.sandbox.client import Client
from tests.integration.timescale.helpers import fetch

from .files import importer, list_symbol


class Free:
    """No limit."""

    def permit(self, weight: int, priority: Priority) -> nullcontext[None]:
        return nullcontext()


@asynccontextmanager
async def archive(client: Client) -> AsyncIterator[BinanceArchive]:
    options = ArchiveOptions(client.sandbox.archive_url, client.sandbox.archive_list_url)
    found = BinanceArchive(options, Free(), VenueClock(), Metrics())
    await found.open()
    try:
        yield found
    finally:
        await found.close()


async def test_a_real_month_from_the_archive_to_the_table(
    database: str, tmp_path: Path, market_data: Path
) -> None:
    name = "ALGOUSDT-1m-2024-09.csv.gz"
    file = BinanceLayout().file(Dataset.CANDLES, Span.MONTHLY, "ALGOUSDT", "ALGOUSDT", date(2024, 9, 1))
    await list_symbol(database, "ALGOUSDT")
    folder = market_data / "klines_1m"
    async with Client.open(speed=1, data_dir=folder, data_pattern=name) as client, archive(client) as venue:
        path, sha256 = await venue.fetch(file, tmp_path)
        async with importer(database) as imports:
            assert await imports.import_file(file, path, sha256) == WriteResult(43_200, 0, 0)
    found = await fetch(
        database,
        "SELECT (extract(epoch FROM bucket_ts) * 1000)::bigint, open, high, low, close, volume, quote_volume,"
        " trade_count, taker_buy_volume, taker_buy_quote_volume FROM candles_1m WHERE bucket_ts >= '2024-09-01'"
        " AND bucket_ts < '2024-10-01' ORDER BY bucket_ts",
    )
    lines = gzip.decompress((folder / name).read_bytes()).decode().splitlines()[1:]
    assert found == [
        (int(cells[0]), *map(float, cells[1:6]), float(cells[7]), int(cells[8]), *map(float, cells[9:11]))
        for cells in (line.split(",") for line in lines)
    ]


async def test_the_listing_names_everything_that_can_be_fetched(database: str, tmp_path: Path) -> None:
    async with Client.open(speed=1, delisted=2, relisted=1) as client, archive(client) as venue:
        folders = await venue.symbols(Dataset.CANDLES, Span.DAILY)
        assert "币安人生USDT" in folders
        settled = [folder for folder in folders if symbol_of(folder) != folder]
        assert len(settled) == 1
        imported = 0
        async with importer(database) as imports:
            for folder in (settled[0], "币安人生USDT"):
                (file, published_ms), *_ = await venue.files(Dataset.CANDLES, Span.DAILY, folder)
                assert published_ms > 1_700_000_000_000
                await list_symbol(database, file.symbol)
                path, sha256 = await venue.fetch(file, tmp_path)
                result = await imports.import_file(file, path, sha256)
                assert result.inserted == result.rows > 0
                imported += result.inserted
        assert await fetch(database, "SELECT sum(have) FROM coverage_days") == [(imported,)]
        for dataset, span in ((Dataset.METRICS, Span.DAILY), (Dataset.FUNDING, Span.MONTHLY)):
            assert "BTCUSDT" in await venue.symbols(dataset, span)
            (file, _), *_ = await venue.files(dataset, span, "BTCUSDT")
            assert (await venue.fetch(file, tmp_path))[0].stat().st_size > 0


_DAY = date(2026, 5, 26)
"""Two days before the sandbox's start."""


def _file() -> ArchiveFile:
    return BinanceLayout().file(Dataset.CANDLES, Span.DAILY, "BTCUSDT", "BTCUSDT", _DAY)


async def _through(venue: BinanceArchive, imports: ArchiveImports, folder: Path) -> WriteResult:
    path, sha256 = await venue.fetch(_file(), folder)
    try:
        return await imports.import_file(_file(), path, sha256, force=True)
    finally:
        path.unlink()


async def test_whatever_the_archive_does_to_a_file_is_refused_or_gives_the_same_rows(
    database: str, tmp_path: Path
) -> None:
    await list_symbol(database, "BTCUSDT")
    async with Client.open(speed=1) as client, archive(client) as venue, importer(database) as imports:
        control = client.sandbox.control
        assert (await _through(venue, imports, tmp_path)).inserted == 1440
        for mode in ("truncated", "bit_flip", "cut", "html", "s3_error"):
            control.archive(mode, path="BTCUSDT", count=1)
            assert (await _through(venue, imports, tmp_path)).unchanged == 1440, mode
        for mode in _ODD:
            control.archive(mode, path="BTCUSDT")
            # Another content is another revision: every row is told so once, and no value changes.
            assert (await _through(venue, imports, tmp_path)).replaced == 1440, mode
            control.clear()
        for mode, reason in _REFUSED.items():
            control.archive(mode, path="BTCUSDT")
            with pytest.raises(BadData) as refused:
                await _through(venue, imports, tmp_path)
            assert refused.value.reason in reason, mode
            control.clear()
        control.archive("missing", path="BTCUSDT")
        with pytest.raises(NotPublished):
            await venue.fetch(_file(), tmp_path)
    assert await fetch(database, "SELECT count(*) FROM candle_revisions") == [(0,)]
    assert await fetch(database, "SELECT have FROM coverage_days") == [(1440,)]


_ODD = ("headerless", "bom", "crlf", "extra_columns", "reordered", "microseconds", "unsorted", "duplicates")
_REFUSED = {
    "checksum": ("checksum",),
    "no_checksum": ("no_checksum",),
    "two_members": ("members",),
    "wrong_member": ("member_name",),
    "evil_path": ("member_name",),
    "bomb": ("ratio",),
    "forged_size": ("size", "bad_zip", "too_large"),
    "forged_larger": ("size",),
    "forged_huge": ("too_large",),
    "forged_bomb": ("bad_zip",),
    "encrypted": ("encrypted",),
    "no_member": ("members",),
    "symlink": ("member_kind",),
    "nested": ("member_name",),
    "nested_content": ("nested",),
    "lzma": ("method",),
}
