"""The first page as a person sees it: the frame, the map of what is stored, and the question for a token."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from src.adapters.timescale.sessions.reader import ReadPool
from src.api.app import make_app
from src.api.security import Tokens
from src.api.static_files import ROOT as STATIC
from tests.integration.timescale.helpers import fetch
from tests.support.api import StandInReader, served
from tests.support.browser import PATIENCE_S, Page
from tests.support.eventually import eventually
from tests.support.fakes import StepClock

from .conftest import EXCHANGE

_TOKEN = "t" * 64
_FIRST_LOOK_BYTES = 100_000
"""Before compression. The library of charts alone is larger; it comes with a chart, and no first paint waits for it."""


async def test_it_is_seen_in_both_languages_light_and_dark_without_a_complaint(
    page: Page, reader: ReadPool
) -> None:
    async with served(reader=cast(StandInReader, reader)) as api:
        await page.dark(False)
        await page.open(f"{api.url}/")
        await page.sees("Not ready")
        await page.sees("Nothing is in the ledger for these days.")
        await page.sees("live")
        light = await page.value("getComputedStyle(document.body).backgroundColor")
        await page.dark(True)
        await eventually(lambda: _changed(page, light), timeout=PATIENCE_S)
        await page.click("中文")
        await page.sees("已存数据")
        await page.becomes("document.documentElement.lang", "zh-CN")
        await page.becomes("document.title", "总览 – marketd")
        await page.open(f"{api.url}/")
        await page.sees("已存数据")
        assert page.problems == []
        assert {url for url in page.requests if not url.startswith(api.url)} == set(), (
            "nothing from elsewhere"
        )
        loaded = {url.removeprefix(f"{api.url}/") for url in page.requests if "/assets/" in url}
        assert 0 < sum((STATIC / name).stat().st_size for name in loaded) < _FIRST_LOOK_BYTES, loaded


async def _changed(page: Page, before: str) -> bool:
    return bool(await page.value("getComputedStyle(document.body).backgroundColor") != before)


async def test_the_map_shows_a_hole_and_its_repair(page: Page, reader: ReadPool, database: str) -> None:
    clock = StepClock()
    yesterday = datetime.fromtimestamp(clock.now(), UTC).date() - timedelta(days=1)
    await fetch(
        database,
        "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, have)"
        " SELECT %s, 'candles_1m', symbol, %s, 1440, CASE symbol WHEN 'ETHUSDT' THEN 1403 ELSE 1440 END"
        " FROM unnest(ARRAY['BTCUSDT', 'ETHUSDT', '币安人生USDT']) AS symbol",
        [EXCHANGE, yesterday],
    )
    async with served(
        reader=cast(StandInReader, reader),
        app=lambda parts, access: make_app(replace(parts, clock=clock), access),
    ) as api:
        await page.open(f"{api.url}/?days=30")
        await page.sees("4 283 of 4 320 due are stored")
        # The most missing is the first row; the keyboard begins at today, and yesterday is one to the left.
        await page.value("document.querySelector('.map-scroll').focus()")
        await page.press("ArrowLeft")
        await page.sees(f"ETHUSDT, {yesterday}")
        await page.sees("1 403 of 1 440 stored, 37 missing")
        await eventually(lambda: _differs(page, "0,0,0,0"), timeout=PATIENCE_S, message="nothing is drawn")
        drawn = await page.value(_PIXEL)
        await fetch(
            database,
            "UPDATE coverage_days SET have = 1440 WHERE exchange = %s AND symbol = 'ETHUSDT'",
            [EXCHANGE],
        )
        clock.advance(60)
        await page.open(f"{api.url}/?days=30")
        await page.sees("4 320 of 4 320 due are stored")
        await eventually(
            lambda: _differs(page, drawn), timeout=PATIENCE_S, message="the cell has no other colour"
        )


async def _differs(page: Page, drawn: str) -> bool:
    return bool(await page.value(_PIXEL) != drawn)


_PIXEL = """(() => {
    const canvas = document.querySelector(".map-scroll canvas");
    const scale = canvas.width / canvas.clientWidth;
    const cell = (canvas.clientWidth - 132) / 30;
    const at = canvas.getContext("2d").getImageData((132 + 28.5 * cell) * scale, 7 * scale, 1, 1);
    return [...at.data].join();
})()"""
"""The colour in the middle of yesterday's cell in the first row, of 30 days."""


async def test_where_a_token_is_needed_the_page_asks_for_it_once(
    page: Page, reader: ReadPool, tmp_path: Path
) -> None:
    file = tmp_path / "tokens.txt"
    file.write_text(f"somebody read {_TOKEN}\n")
    tokens = Tokens(str(file))
    tokens.load()
    async with served(tokens=tokens, reader=cast(StandInReader, reader)) as api:
        await page.open(f"{api.url}/")
        await page.sees("marketd asks for a token here.")
        await page.type("dialog input", "w" * 40)
        await page.press("Enter")
        await page.sees("That token was not taken.")
        await page.type("dialog input", _TOKEN)
        await page.press("Enter")
        await page.sees("Not ready")
        await page.becomes("document.querySelector('dialog') === null", True)
        kept = await page.value("JSON.stringify([sessionStorage, localStorage, document.cookie])")
        assert kept.count(_TOKEN) == 1
        assert _TOKEN not in "".join(page.requests), "never in an address"
        await page.open(f"{api.url}/")
        await page.sees("Not ready")
