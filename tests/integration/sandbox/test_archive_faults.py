"""Archive files that are wrong on demand, over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import io
import xml.etree.ElementTree as ElementTree
import zipfile

import aiohttp
import pytest

from src.sandbox.archive.dirt import CONTENT
from src.sandbox.market.candles import MINUTE_MS
from src.sandbox.market.past import DAY_MS

from .client import Client
from .test_archive import DAY, MIDNIGHT_MS, MONTH, SPACE, fetch, page, rows

KEY = DAY.format("BTCUSDT", "2026-05-26")
OTHER = DAY.format("ETHUSDT", "2026-05-26")


async def fired(client: Client) -> dict[str, int]:
    _, stats, _ = await client.get("/control/stats")
    return dict(stats["fired"])


async def entries(client: Client, prefix: str) -> dict[str, list[str]]:
    """The listed objects of a folder: all fields by key."""
    found = (await page(client, prefix=prefix)).iterfind(SPACE + "Contents")
    return {str(one[0].text): [str(cell.text) for cell in one] for one in found}


async def proof(client: Client, key: str) -> str:
    return (await fetch(client, key + ".CHECKSUM"))[1].decode()[:64]


async def test_a_wrong_checksum_for_a_while_and_a_missing_one() -> None:
    async with Client.open(speed=1) as client:
        right = hashlib.sha256((await fetch(client, KEY))[1]).hexdigest()
        await client.control("archive", mode="checksum", path="BTCUSDT", count=2)
        assert [await proof(client, KEY) == right for _ in range(3)] == [False, False, True]
        await client.control("archive", mode="no_checksum", path="*BTCUSDT-1m-2026-05-26.zip")
        assert (await fetch(client, KEY + ".CHECKSUM"))[0] == 404
        assert (await fetch(client, OTHER + ".CHECKSUM"))[0] == 200
        assert await fired(client) == {"archive": 3, "archive_checksum": 2, "archive_no_checksum": 1}


async def test_what_happens_on_the_way() -> None:
    async with Client.open(speed=1) as client:
        _, whole, _ = await fetch(client, KEY)
        for mode in ("truncated", "bit_flip", "missing", "html", "s3_error", "cut"):
            await client.control("archive", mode=mode, path=KEY, count=1)
        assert (await fetch(client, KEY))[0] == 404
        assert (await fetch(client, OTHER))[0] == 200, "others are not meant"
        status, body, headers = await fetch(client, KEY)
        assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/html")
        status, body, _ = await fetch(client, KEY)
        assert (status, ElementTree.fromstring(body).findtext("Code")) == (503, "SlowDown")  # noqa: S314 - our own
        assert (await fetch(client, KEY))[1] == whole[: len(whole) // 2]
        _, body, _ = await fetch(client, KEY)
        assert sum(one != two for one, two in zip(body, whole, strict=True)) == 1
        with pytest.raises(aiohttp.ClientPayloadError):
            await fetch(client, KEY)
        assert (await fetch(client, KEY))[1] == whole
        assert await proof(client, KEY) == hashlib.sha256(whole).hexdigest()
        assert (await fired(client))["archive"] == 6


async def test_an_answer_that_stalls_goes_on_when_the_fault_is_cleared() -> None:
    async with Client.open(speed=1) as client:
        _, whole, _ = await fetch(client, KEY)
        await client.control("archive", mode="stall", path=KEY)
        async with client.session.get(f"{client.sandbox.archive_url}/{KEY}") as answer:
            half = await answer.content.readexactly(len(whole) // 2)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await answer.content.readexactly(1)
            await client.control("clear")
            assert half + await answer.read() == whole
        assert (await fired(client))["archive_stall"] == 1


async def test_a_listing_that_fails_has_to_be_named() -> None:
    async with Client.open(speed=1) as client:
        await client.control("archive", mode="s3_error")
        assert len(await page(client, prefix="data/futures/um/daily/klines/", delimiter="/")) > 5
        await client.control("archive", mode="html", path="archive-list", count=1)
        async with client.session.get(client.sandbox.archive_list_url) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
        assert len(await page(client, prefix=KEY)) > 5


@pytest.mark.parametrize("mode", sorted(CONTENT))
async def test_a_file_that_is_wrong_inside_has_the_checksum_of_what_is_served(mode: str) -> None:
    async with Client.open(speed=1) as client:
        good = (await fetch(client, KEY))[1]
        status, made = await client.control("archive", mode=mode, path="BTCUSDT-1m-2026-05-26")
        assert status == 200
        _, bad, _ = await fetch(client, KEY)
        assert bad != good
        assert await proof(client, KEY) == hashlib.sha256(bad).hexdigest()
        assert await fired(client) == {"archive": 1, f"archive_{mode}": 1}
        await client.session.delete(f"{client.sandbox.control_url}/faults/{made['result']['number']}")
        assert (await fetch(client, KEY))[1] == good


async def test_wrong_orders_are_refused() -> None:
    async with Client.open(speed=1) as client:
        assert (await client.control("archive", mode="nonsense"))[0] == 400
        assert (await client.control("archive", mode="bom", count=1))[0] == 400
        assert (await client.control("republish", symbol="BTCUSDT", open_ms=0))[0] == 400
        assert (await client.control("lose", symbol="BTCUSDT", from_ms=5, to_ms=5))[0] == 400


async def test_a_republished_candle_changes_its_files_and_nothing_else() -> None:
    minute = MIDNIGHT_MS - 2 * DAY_MS + 600 * MINUTE_MS
    async with Client.open(speed=1) as client:
        prefix = KEY.rpartition("/")[0]
        before = await rows(client, KEY)
        listed = await entries(client, prefix)
        _, told = await client.control("republish", symbol="BTCUSDT", open_ms=minute)
        after = await rows(client, KEY)
        assert [new[0] for new, old in zip(after, before, strict=True) if new != old] == [str(minute)]
        now = await entries(client, prefix)
        assert {key for key in now if now[key] != listed[key]} == {KEY, KEY + ".CHECKSUM"}
        assert now[KEY][1][:16] == "2026-05-28T20:27", "LastModified is when it was corrected"
        assert now[KEY][2] != listed[KEY][2]
        (row,) = await client.klines("BTCUSDT", startTime=minute, limit=1)
        assert list(map(str, row)) == before[600], "REST keeps the old row"
        assert told["result"]["open_ms"] == minute
        assert (await rows(client, MONTH.format("BTCUSDT", "2026-04")))[0][0] == str(
            MIDNIGHT_MS - 40 * DAY_MS
        )


async def test_what_the_venue_lost_is_nowhere() -> None:
    first = MIDNIGHT_MS - 2 * DAY_MS + 600 * MINUTE_MS
    async with Client.open(speed=1) as client:
        assert len(await rows(client, KEY)) == 1440
        await client.control("lose", symbol="BTCUSDT", from_ms=first, to_ms=first + 3 * MINUTE_MS)
        found = {int(row[0]) for row in await rows(client, KEY)}
        assert len(found) == 1437
        assert not found & {first, first + MINUTE_MS, first + 2 * MINUTE_MS}
        assert await client.klines("BTCUSDT", startTime=first, endTime=first + 2 * MINUTE_MS) == []
        truth = client.sandbox.truth("BTCUSDT", first - MINUTE_MS, first + 4 * MINUTE_MS)
        assert [row.open_time for row in truth] == [first - MINUTE_MS, first + 3 * MINUTE_MS]
        assert len(await rows(client, OTHER)) == 1440


async def test_a_spoiled_file_can_still_be_opened_where_only_its_rows_are_wrong() -> None:
    async with Client.open(speed=1) as client:
        await client.control("archive", mode="gaps", path="BTCUSDT", share=0.5)
        _, content, _ = await fetch(client, KEY)
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            lines = file.read("BTCUSDT-1m-2026-05-26.csv").splitlines()
        assert 600 < len(lines) < 850
