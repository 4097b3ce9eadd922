"""The archive over HTTP: objects, checksums, ranges, publication, the bucket's listing."""

from __future__ import annotations

import gzip
import hashlib
import io
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from src.sandbox.market.candles import MINUTE_MS
from src.sandbox.market.past import DAY_MS

from .client import START_MS, Client

SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
MIDNIGHT_MS = START_MS // DAY_MS * DAY_MS
DAY = "data/futures/um/daily/klines/{0}/1m/{0}-1m-{1}.zip"
MONTH = "data/futures/um/monthly/klines/{0}/1m/{0}-1m-{1}.zip"


async def fetch(client: Client, key: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    url = f"{client.sandbox.archive_url}/{quote(key)}"
    async with client.session.get(url, headers=headers) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


async def rows(client: Client, key: str) -> list[list[str]]:
    """The data rows of a file whose checksum is right."""
    status, content, _ = await fetch(client, key)
    assert status == 200, key
    _, proof, _ = await fetch(client, key + ".CHECKSUM")
    name = key.rpartition("/")[2]
    assert proof.decode() == f"{hashlib.sha256(content).hexdigest()}  {name}\n"
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert file.namelist() == [name.replace(".zip", ".csv")]
        lines = file.read(file.namelist()[0]).decode().splitlines()
    return [line.split(",") for line in lines if line[0].isdigit()]


async def page(client: Client, **query: str) -> Any:
    async with client.session.get(client.sandbox.archive_list_url, params=query) as answer:
        assert answer.status == 200
        return ElementTree.fromstring(await answer.text())  # noqa: S314 - our own


def keys(listing: Any) -> list[str]:
    return [str(one.findtext(SPACE + "Key")) for one in listing.iterfind(SPACE + "Contents")]


def folders(listing: Any) -> list[str]:
    found = listing.iterfind(SPACE + "CommonPrefixes")
    return [str(one.findtext(SPACE + "Prefix")) for one in found]


async def test_a_day_and_a_month_have_the_rows_of_rest() -> None:
    async with Client.open(speed=1) as client:  # the start is 2026-05-28
        for symbol in ("BTCUSDT", "币安人生USDT"):
            found = await rows(client, DAY.format(symbol, "2026-05-26"))
            first = MIDNIGHT_MS - 2 * DAY_MS
            asked = await client.klines(symbol, startTime=first, endTime=first + DAY_MS - 1, limit=1500)
            assert found == [list(map(str, row)) for row in asked]
            assert len(found) == 1440
        month = await rows(client, MONTH.format("BTCUSDT", "2026-04"))
        assert len(month) == (30 - 17) * 1440, "history begins on 2026-04-18"
        assert month[0][0] == str(MIDNIGHT_MS - 40 * DAY_MS)


async def test_the_header_line_stands_in_newer_files() -> None:
    for since, first in (("2026-05", b"open_time,"), ("2026-06", b"1779753600000,")):
        async with Client.open(speed=1, header_from=since) as client:
            _, content, _ = await fetch(client, DAY.format("BTCUSDT", "2026-05-26"))
            with zipfile.ZipFile(io.BytesIO(content)) as file:
                assert file.read(file.namelist()[0]).startswith(first)


async def test_a_file_appears_with_the_real_delay() -> None:
    key = DAY.format("BTCUSDT", "2026-05-27")
    async with Client.open(start_ms=MIDNIGHT_MS + 104 * 60_000, speed=0.001) as client:
        assert (await fetch(client, key))[0] == 404
    async with Client.open(start_ms=MIDNIGHT_MS + 560 * 60_000, speed=0.001) as client:
        assert (await fetch(client, key))[0] == 200
        assert (await fetch(client, MONTH.format("BTCUSDT", "2026-05")))[0] == 404
        prefix = key.rpartition("/")[0]
        listing = await page(client, prefix=prefix)
        stamps = [one.findtext(SPACE + "LastModified") for one in listing.iterfind(SPACE + "Contents")]
        assert "2026-05-28T01:45:00.000Z" <= stamps[-1] <= "2026-05-28T09:20:00.000Z"
    async with Client.open(start_ms=MIDNIGHT_MS + 60_000, speed=0.001, publish_after_s=60) as client:
        assert (await fetch(client, key))[0] == 200


async def test_a_missing_key_is_an_s3_error() -> None:
    async with Client.open(speed=1) as client:
        for key in (DAY.format("NOPEUSDT", "2026-05-26"), DAY.format("BTCUSDT", "2020-01-01"), "data/x.zip"):
            status, body, headers = await fetch(client, key)
            assert status == 404
            assert headers["Content-Type"].startswith("application/xml")
            assert ElementTree.fromstring(body).findtext("Code") == "NoSuchKey"  # noqa: S314 - our own


async def test_a_download_can_be_resumed() -> None:
    key = DAY.format("BTCUSDT", "2026-05-26")
    async with Client.open(speed=1) as client:
        _, whole, headers = await fetch(client, key)
        assert headers["Accept-Ranges"] == "bytes"
        status, rest, part = await fetch(client, key, Range="bytes=1000-")
        assert (status, rest) == (206, whole[1000:])
        assert part["Content-Range"] == f"bytes 1000-{len(whole) - 1}/{len(whole)}"
        assert (await fetch(client, key, Range="bytes=5-9"))[1] == whole[5:10]
        assert (await fetch(client, key, Range="bytes=-7"))[1] == whole[-7:]
        assert (await fetch(client, key, Range=f"bytes={len(whole)}-"))[0] == 416
        status, body, _ = await fetch(client, key, **{"Range": "bytes=5-", "If-Range": '"another"'})
        assert (status, body) == (200, whole)
        assert (await fetch(client, key, **{"If-None-Match": headers["Etag"]}))[0] == 304


async def test_the_bytes_are_the_same_in_every_process_and_order() -> None:
    names = [DAY.format("ETHUSDT", f"2026-05-{day}") for day in range(20, 27)]
    async with Client.open(speed=1) as one, Client.open(speed=1) as two:
        first = [(await fetch(one, name))[1] for name in names]
        second = [(await fetch(two, name))[1] for name in reversed(names)]
        assert first == second[::-1]


async def test_the_listing_in_both_versions_is_complete_and_in_order() -> None:
    prefix = "data/futures/um/daily/klines/BTCUSDT/1m/"
    async with Client.open(speed=1, history_days=600) as client:
        everything: list[str] = []
        token: dict[str, str] = {}
        while True:
            listing = await page(client, **{"list-type": "2"}, prefix=prefix, **token)
            everything += keys(listing)
            if listing.findtext(SPACE + "IsTruncated") == "false":
                break
            assert len(keys(listing)) == 1000
            token = {"continuation-token": listing.findtext(SPACE + "NextContinuationToken")}
        assert len(everything) == 2 * 600, "the exchange starts at 20:27, when yesterday is published"
        assert everything == sorted(everything)
        assert everything[1] == everything[0] + ".CHECKSUM"
        old: list[str] = []
        while True:
            listing = await page(client, prefix=prefix, marker=old[-1] if old else "")
            assert listing.find(SPACE + "NextMarker") is None
            old += keys(listing)
            if listing.findtext(SPACE + "IsTruncated") == "false":
                break
        assert old == everything


async def test_folders_are_listed_with_a_delimiter() -> None:
    async with Client.open(speed=1, symbols=20, delisted=2, relisted=2) as client:
        prefix = "data/futures/um/daily/klines/"
        found = folders(await page(client, prefix=prefix, delimiter="/"))
        names = [one.removeprefix(prefix).rstrip("/") for one in found]
        listing = client.sandbox.venue.listing()
        known = {one["symbol"] for one in listing if one["periods"]}
        again = {one["symbol"] + "SETTLED" for one in listing if len(one["periods"]) == 2}
        assert len(again) == 2
        assert set(names) == known | again
        assert names == sorted(names, key=str.encode)
        short: list[str] = []
        while True:
            more = {"marker": short[-1]} if short else {}
            part = await page(client, prefix=prefix, delimiter="/", **{"max-keys": "7"}, **more)
            short += folders(part)
            if part.findtext(SPACE + "IsTruncated") == "false":
                break
            assert part.findtext(SPACE + "NextMarker") == short[-1]
        assert short == found
        assert folders(await page(client, delimiter="/")) == ["data/"]
        assert folders(await page(client, prefix="data/futures/um/", delimiter="/")) == [
            "data/futures/um/daily/", "data/futures/um/monthly/",
        ]  # fmt: skip


async def test_a_relisted_symbol_has_its_earlier_contract_in_a_folder_of_its_own() -> None:
    async with Client.open(speed=1, symbols=20, delisted=2, relisted=2) as client:
        for one in client.sandbox.venue.listing():
            contracts = {period["onboard_ms"]: period for period in one["periods"]}
            if len(contracts) < 2 and one["listed"]:
                continue
            earlier = one["periods"][0]
            folder = one["symbol"] + ("SETTLED" if one["listed"] else "")
            listing = await page(client, prefix=f"data/futures/um/daily/klines/{folder}/")
            stored = [
                int(row[0])
                for key in keys(listing)
                if key.endswith(".zip")
                for row in (await rows(client, key))[-1440:]
            ]
            assert stored == list(range(earlier["from_ms"], earlier["to_ms"], MINUTE_MS))
            asked = await client.klines(one["symbol"], startTime=stored[-1], endTime=stored[-1])
            assert len(asked) == 1, "REST answers for its past"


async def test_real_months_are_served_at_their_true_dates_too(market_data: Path) -> None:
    folder = market_data / "klines_1m"
    async with Client.open(symbols=2, speed=1, data_dir=folder) as client:
        assert client.sandbox.replay_shift_ms > 0
        for path in sorted(folder.glob("*.csv.gz")):
            real = gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
            symbol = path.name.partition("-")[0]
            month = path.name.removeprefix(f"{symbol}-1m-").removesuffix(".csv.gz")
            found = await rows(client, MONTH.format(symbol, month))
            assert [",".join(row) for row in found] == real
        start = int(found[-3][0]) + client.sandbox.replay_shift_ms
        shifted = client.sandbox.venue.replay.kline(symbol, start // MINUTE_MS)
        assert shifted is not None
        assert list(map(str, shifted))[1:6] == found[-3][1:6]
        unshifted = await client.klines(symbol, startTime=int(found[0][0]), limit=3)
        assert [list(map(str, row)) for row in unshifted] == found[:3]


async def test_downloads_are_counted() -> None:
    key = DAY.format("BTCUSDT", "2026-05-26")
    async with Client.open(speed=1) as client:
        await fetch(client, key)
        await fetch(client, key + ".CHECKSUM")
        await page(client, prefix="data/futures/um/monthly/", delimiter="/")
        _, stats, _ = await client.get("/control/stats")
        assert stats["requests"] == {
            "/archive/*.zip 200": 1, "/archive/*.CHECKSUM 200": 1, "/archive-list 200": 1,
        }  # fmt: skip
        assert [one["key"] for one in stats["downloads"]] == [key, key + ".CHECKSUM"]
        assert stats["weight_by_minute"] == {}
