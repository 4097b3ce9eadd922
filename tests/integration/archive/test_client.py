"""The archive client against a server on loopback: faults D1 to D4 and D11 as far as they are its own."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import pytest
from aiohttp import web

from src.adapters.binance.archive.client import CHECKSUM_ATTEMPTS, ArchiveOptions, BinanceArchive
from src.adapters.binance.archive.paths import BinanceLayout
from src.clock import VenueClock
from src.errors import BadData, ConfigError, MarketdError, NotPublished, Unavailable
from src.model import Dataset, Span
from src.ports import Priority
from src.telemetry.metrics import Metrics
from tests.support.archive_server import ArchiveServer, archive_server
from tests.support.eventually import eventually

FILE = BinanceLayout().file(Dataset.CANDLES, Span.DAILY, "币安USDT", "币安USDT", date(2026, 2, 1))
CONTENT = b"PK\x03\x04" + bytes(range(256)) * 4000
NAME = "币安USDT-1m-2026-02-01.zip"
PART = f"{NAME}.part"
_PATIENCE = 2.0


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(entry.name for entry in folder.iterdir())


class Grown:
    """True whenever the part has become longer than it was the last time."""

    def __init__(self, part: Path) -> None:
        self._part, self._size = part, 0

    def __call__(self) -> bool:
        size = self._part.stat().st_size
        grown = size > self._size
        self._size = size if grown else self._size
        return grown


class FreePermits:
    """Everybody is let in, and counted."""

    def __init__(self) -> None:
        self.inside = self.given = 0
        self.asked: list[Priority] = []

    @asynccontextmanager
    async def permit(self, weight: int, priority: Priority) -> AsyncIterator[None]:
        self.inside += 1
        self.given += weight
        self.asked.append(priority)
        try:
            yield
        finally:
            self.inside -= 1


class World:
    def __init__(
        self, server: ArchiveServer, permits: FreePermits, archive: BinanceArchive, metrics: Metrics
    ) -> None:
        self.server, self.permits, self.archive, self.metrics = server, permits, archive, metrics

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"marketd_{name}_total", labels) or 0.0


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with archive_server() as server:
        permits, metrics = FreePermits(), Metrics()
        options = ArchiveOptions(
            url=f"{server.url}/archive", list_url=f"{server.url}/list", backoff_base=0.0, patience=_PATIENCE
        )
        archive = BinanceArchive(options, permits, VenueClock(), metrics)
        await archive.open()
        try:
            yield World(server, permits, archive, metrics)
        finally:
            await archive.close()
            assert permits.inside == 0


async def test_a_file_comes_whole_with_its_checksum(world: World, tmp_path: Path) -> None:
    world.server.put(FILE.path, CONTENT)
    path, sha256 = await world.archive.fetch(FILE, tmp_path)
    assert path.read_bytes() == CONTENT
    assert sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert names(tmp_path) == [NAME]
    assert world.permits.given == 1
    assert world.count("archive_received_bytes") == len(CONTENT)


async def test_the_budget_is_asked_with_the_priority_of_whoever_wants_it(
    world: World, tmp_path: Path
) -> None:
    world.server.put(FILE.path, CONTENT)
    await world.archive.fetch(FILE, tmp_path, priority=Priority.VERIFY)
    await world.archive.fetch(FILE, tmp_path, priority=Priority.REPAIR)
    assert world.permits.asked == [Priority.VERIFY, Priority.REPAIR]


async def test_a_file_that_is_there_is_not_fetched_again(world: World, tmp_path: Path) -> None:
    world.server.put(FILE.path, CONTENT)
    await world.archive.fetch(FILE, tmp_path)
    await world.archive.fetch(FILE, tmp_path)
    assert len(world.server.requests(FILE.path)) == 1


async def test_a_poisoned_file_under_the_final_name_is_fetched_again(world: World, tmp_path: Path) -> None:
    world.server.put(FILE.path, CONTENT)
    (tmp_path / NAME).write_bytes(CONTENT[:1000])
    path, _ = await world.archive.fetch(FILE, tmp_path)
    assert path.read_bytes() == CONTENT


async def test_a_cut_download_goes_on_where_it_was(world: World, tmp_path: Path) -> None:
    world.server.put(FILE.path, CONTENT)
    world.server.cut_after = 400_000
    world.server.cut_when = Grown(tmp_path / PART)
    path, _ = await world.archive.fetch(FILE, tmp_path)
    assert path.read_bytes() == CONTENT
    ranges = world.server.requests(FILE.path)
    assert ranges[0] == ""
    assert all(asked.startswith("bytes=") for asked in ranges[1:])
    assert world.count("archive_received_bytes") == len(CONTENT)  # no byte was sent twice


async def test_a_file_replaced_between_two_parts_is_begun_anew(world: World, tmp_path: Path) -> None:
    other = b"PK\x03\x04" + bytes(reversed(range(256))) * 4000
    world.server.put(FILE.path, CONTENT)
    world.server.cut_after = 400_000
    world.server.cut_when = Grown(tmp_path / PART)
    asked = 0

    def replace(request: web.Request) -> None:
        nonlocal asked
        asked += request.path.endswith(".zip")
        if asked == 2:
            world.server.put(FILE.path, other)
            world.server.cut_after = None

    world.server.misfortune = replace
    path, sha256 = await world.archive.fetch(FILE, tmp_path)
    assert path.read_bytes() == other
    assert sha256 == hashlib.sha256(other).hexdigest()


async def test_ended_while_downloading_there_is_no_final_file(world: World, tmp_path: Path) -> None:
    world.server.put(FILE.path, CONTENT)
    world.server.cut_after = 300_000
    world.server.cut_when = lambda: False  # it stalls
    task = asyncio.create_task(world.archive.fetch(FILE, tmp_path))
    part = tmp_path / PART
    await eventually(lambda: part.exists() and part.stat().st_size >= 256 * 1024)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(tmp_path) == [PART, f"{PART}.tag"]
    size = part.stat().st_size
    world.server.cut_after = None
    path, _ = await world.archive.fetch(FILE, tmp_path)  # the next run goes on
    assert path.read_bytes() == CONTENT
    assert world.server.requests(FILE.path)[-1] == f"bytes={size}-"


async def test_a_checksum_that_is_wrong_for_good_ends_after_a_few_times(world: World, tmp_path: Path) -> None:
    world.server.put(FILE.path, CONTENT, checksum="0" * 64)
    with pytest.raises(BadData) as refused:
        await world.archive.fetch(FILE, tmp_path)
    assert refused.value.reason == "checksum"
    assert len(world.server.requests(FILE.path)) == CHECKSUM_ATTEMPTS
    assert names(tmp_path) == []
    assert world.count("archive_downloads", result="checksum") == CHECKSUM_ATTEMPTS


async def test_a_file_damaged_once_is_fetched_again(world: World, tmp_path: Path) -> None:
    world.server.put(FILE.path, CONTENT)
    damaged = bytearray(CONTENT)
    damaged[77] ^= 4

    def once(request: web.Request) -> web.Response | None:
        return web.Response(body=bytes(damaged)) if len(world.server.requests(FILE.path)) == 1 else None

    world.server.misfortune = lambda request: once(request) if request.path.endswith(".zip") else None
    path, _ = await world.archive.fetch(FILE, tmp_path)
    assert path.read_bytes() == CONTENT


async def test_a_file_that_is_not_published_is_no_error_of_the_network(world: World, tmp_path: Path) -> None:
    with pytest.raises(NotPublished):
        await world.archive.fetch(FILE, tmp_path)
    assert names(tmp_path) == []


async def test_a_file_without_checksum_can_never_be_verified(world: World, tmp_path: Path) -> None:
    world.server.objects[FILE.path] = CONTENT
    with pytest.raises(BadData) as refused:
        await world.archive.fetch(FILE, tmp_path)
    assert refused.value.reason == "no_checksum"


_ERRORS = "<Error><Code>{}</Code></Error>"


@pytest.mark.parametrize("suffix", [".zip", ".zip.CHECKSUM"])
@pytest.mark.parametrize(
    ("status", "text", "kind", "reason"),
    [
        (200, "<!DOCTYPE html><html>index</html>", Unavailable, "html"),
        (200, _ERRORS.format("SlowDown"), Unavailable, "archive_error"),
        (200, _ERRORS.format("NoSuchKey"), NotPublished, "not_published"),
        (503, _ERRORS.format("SlowDown"), Unavailable, "server_error"),
        (302, "", Unavailable, "redirect"),
        (403, "Forbidden", Unavailable, "forbidden"),
    ],
)
async def test_a_page_instead_of_a_file_is_not_taken_for_it(
    world: World, tmp_path: Path, suffix: str, status: int, text: str, kind: type[MarketdError], reason: str
) -> None:
    world.server.put(FILE.path, CONTENT)

    def page(request: web.Request) -> web.Response | None:
        headers = {"Location": "http://127.0.0.2/"} if status == 302 else {}
        return (
            web.Response(status=status, text=text, headers=headers) if request.path.endswith(suffix) else None
        )

    world.server.misfortune = page
    with pytest.raises(kind) as refused:
        await world.archive.fetch(FILE, tmp_path)
    assert getattr(refused.value, "reason", "") == reason
    assert NAME not in names(tmp_path)


async def test_a_file_over_the_cap_is_left_alone(world: World, tmp_path: Path) -> None:
    server = world.server
    options = ArchiveOptions(f"{server.url}/archive", f"{server.url}/list", max_file_bytes=1000)
    archive = BinanceArchive(options, FreePermits(), VenueClock(), Metrics())
    await archive.open()
    server.put(FILE.path, CONTENT)
    with pytest.raises(BadData) as refused:
        await archive.fetch(FILE, tmp_path)
    assert refused.value.reason == "too_large"
    assert names(tmp_path) == []
    await archive.close()


async def test_two_downloads_of_one_file_do_not_meet(world: World, tmp_path: Path) -> None:
    world.server.put(FILE.path, CONTENT)
    found = await asyncio.gather(
        *(world.archive.fetch(FILE, tmp_path) for _ in range(3)), return_exceptions=True
    )
    for one in found:
        assert isinstance(one, tuple) or (isinstance(one, Unavailable) and one.reason == "busy")
    assert (tmp_path / NAME).read_bytes() == CONTENT


async def test_the_listing_is_read_page_by_page(world: World) -> None:
    layout = BinanceLayout()
    days = [date(2026, 1, day) for day in range(1, 32)]
    wanted = [layout.file(Dataset.CANDLES, Span.DAILY, "CTKUSDTSETTLED", "CTKUSDT", day) for day in days]
    for file in wanted:
        world.server.put(file.path, b"x")
    world.server.put(FILE.path, b"x")
    world.server.objects["data/futures/um/daily/klines/CTKUSDTSETTLED/1m/readme.txt"] = b"x"
    world.server.page_keys = 7
    assert await world.archive.symbols(Dataset.CANDLES, Span.DAILY) == ["CTKUSDTSETTLED", "币安USDT"]
    found = await world.archive.files(Dataset.CANDLES, Span.DAILY, "CTKUSDTSETTLED")
    assert found == [(file, 1_773_825_153_000) for file in wanted]
    assert world.count("archive_entries_rejected", reason="name") == 1


async def test_a_listing_that_goes_in_circles_ends(world: World) -> None:
    page = (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>true</IsTruncated>'
        "<NextContinuationToken>again</NextContinuationToken></ListBucketResult>"
    )
    world.server.misfortune = lambda _: web.Response(text=page)
    with pytest.raises(Unavailable) as refused:
        await world.archive.symbols(Dataset.CANDLES, Span.DAILY)
    assert refused.value.reason == "bad_listing"


async def test_an_archive_that_is_not_tls_is_refused() -> None:
    with pytest.raises(ConfigError, match="BINANCE_ARCHIVE_LIST_URL"):
        BinanceArchive(ArchiveOptions(list_url="http://example.com"), FreePermits(), VenueClock(), Metrics())
