"""The chart over stored candles: older ones come as one moves to the left, and bars that lack minutes are hollow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from src.model import DAY_MS, MINUTE_MS
from tests.integration.api.market_world import START_MS, MarketApi, serving
from tests.integration.bars.world import plain
from tests.integration.timescale.helpers import fetch
from tests.support.browser import Page
from tests.support.eventually import eventually

_SYMBOL = "AUSDT"
_MINUTES = 2_500
"""More than two pieces of 1000 bars."""
_VALUES = "document.querySelector('.chart-values')?.innerText ?? ''"
_BOX = "document.querySelector('.chart-draw').getBoundingClientRect().toJSON()"
_WIDE = 600
"""Pixels; at the usual width of six a hundred bars."""
_FIRST_BAR = "The first bar that is stored."


@pytest.fixture
async def world(database: str) -> AsyncIterator[MarketApi]:
    async with serving(database) as world:
        await world.market.listed(_SYMBOL, START_MS)
        yield world


async def test_older_candles_come_as_one_drags_the_chart(page: Page, world: MarketApi) -> None:
    await world.market.store(plain(_SYMBOL, START_MS, _MINUTES))
    await _open(page, world, "1m")
    seen = await _time_at(page, 0.5)
    newest = seen
    steps = []
    while _FIRST_BAR not in await page.text():
        await _drag(page)
        now = await _another_time(page, seen)
        steps.append(seen - now)
        seen = now
    # However many older bars came in front meanwhile: what is seen moved as far as the hand did, less what it takes
    # until a press is known to be a drag.
    assert all(80 * MINUTE_MS <= one <= 100 * MINUTE_MS for one in steps), steps
    ends = _ends(page)
    assert len(ends) == 2, "two pieces before the newest one, each asked for once"
    assert ends == [START_MS + (_MINUTES - 1_000 * n) * MINUTE_MS for n in (1, 2)]
    assert newest - seen < 2_400 * MINUTE_MS, "what is older was there before its beginning was in sight"
    await _focus(page)
    await page.press("Home")
    await eventually(lambda: _sees_at(page, 3, START_MS))
    await page.press("End")
    await eventually(lambda: _sees_at(page, 0.5, newest))
    assert "issing" not in await page.text()
    assert page.problems == []


async def test_bars_that_lack_minutes_are_hollow_and_one_is_led_to_them(page: Page, world: MarketApi) -> None:
    await world.market.store(plain(_SYMBOL, START_MS, _MINUTES, leave=[12, 13, 1_001]))
    world.market.keep()
    await _open(page, world, "5m")
    await page.sees("Bars that lack minutes: 2 (hollow; 3 min).")
    assert await _coloured(page, "warn") == 0, "neither is in sight"
    for minute, lacks in ((1_000, 1), (10, 2)):
        await page.click("hollow")
        await eventually(partial(_sees_in_the_middle, page, START_MS + minute * MINUTE_MS))
        assert f"{lacks} min missing" in await page.value(_VALUES)
        await eventually(lambda: _coloured(page, "warn"), message="nothing is drawn in amber")
    await page.click("中文")
    await page.sees("缺分钟的 K 线：2（空心；共 3 分钟）。")
    assert page.problems == []


async def test_metrics_reach_back_as_far_as_the_bars(page: Page, world: MarketApi) -> None:
    """In steps as long as a bar: 50 days of five minutes would be more pieces than are read in one go."""
    first = START_MS - 30 * DAY_MS
    for begins in (first, START_MS + 20 * DAY_MS):
        await world.market.store(plain(_SYMBOL, begins, 120))
    world.market.keep()
    await fetch(world.market.url, _METRICS, [first // 1000, 50 * 288])
    await fetch(world.market.url, _METRIC_DAYS, [first // 1000])
    await _open(page, world, "1h")
    await _focus(page)
    await page.press("Home")
    await eventually(lambda: _coloured(page, "series-1"), message="no open interest at the oldest bars")
    asked = [parse_qs(urlsplit(url).query) for url in page.requests if "/api/v1/metrics5m?" in url]
    assert [one["step"] for one in asked] == [["1h"]] * 2, "1200 hours are two pieces"
    assert page.problems == []


_METRICS = """
INSERT INTO binance_futures_metrics_5m (exchange, symbol, create_time, sum_open_interest, sum_open_interest_rank,
                                        authority, source)
SELECT 'binance_futures_um', 'AUSDT', to_timestamp(%s) + n * interval '5 minutes', 1000 + n, 3, 3, 'b'
FROM generate_series(1, %s) AS n
"""
_METRIC_DAYS = """
INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, have)
SELECT 'binance_futures_um', 'metrics_5m', 'AUSDT', (to_timestamp(%s) AT TIME ZONE 'UTC')::date + n, 288, 288
FROM generate_series(0, 50) AS n
ON CONFLICT DO NOTHING
"""


async def _coloured(page: Page, name: str) -> int:
    """How many pixels of the left half of all that is drawn have a colour of the style sheet."""
    return int(await page.value(f"({_COUNT})({name!r})"))


_COUNT = """(name) => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(--${name})`;
    const wanted = getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).map(Number);
    probe.remove();
    let count = 0;
    for (const canvas of document.querySelectorAll(".chart-draw canvas")) {
        const all = canvas.getContext("2d").getImageData(0, 0, Math.ceil(canvas.width / 2) + 20, canvas.height).data;
        const is = (from) => wanted.every((one, n) => Math.abs(one - all[from + n]) < 8);
        for (let at = 0; at < all.length; at += 4) if (is(at)) count++;
    }
    return count;
}"""


async def _open(page: Page, world: MarketApi, interval: str) -> None:
    await page.open(f"{world.api.url}/chart?symbol={_SYMBOL}&interval={interval}")
    await page.becomes(f"({_VALUES}).length > 0", True)
    await page.becomes("document.querySelector('.link').innerText", "live")


async def _drag(page: Page) -> None:
    box = await page.value(_BOX)
    await page.drag(box["x"] + 200, box["y"] + 100, _WIDE)


async def _focus(page: Page) -> None:
    await page.value("document.querySelector('.chart-draw').focus()")


async def _time_at(page: Page, share: float) -> int:
    """UTC ms of the bar under a place: a share of the chart's width, or so many pixels from its left edge."""
    box = await page.value(_BOX)
    x = box["x"] + (share if share > 1 else box["width"] * share)
    await page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x - 1, y=box["y"] + 60)
    await page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=box["y"] + 60)
    await page.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    text = str(await page.value(_VALUES))
    return int(datetime.strptime(text[:16], "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp() * 1000)


async def _another_time(page: Page, seen: int) -> int:
    async def moved() -> int:
        now = await _time_at(page, 0.5)
        return now if now != seen and now == await _time_at(page, 0.5) else 0

    return await eventually(moved)


async def _sees_at(page: Page, share: float, expected: int) -> bool:
    found = await _time_at(page, share)
    assert found == expected, f"{found - expected} ms off"
    return True


async def _sees_in_the_middle(page: Page, expected: int) -> bool:
    box = await page.value(
        "(({ x, width }) => ({ x, width }))(document.querySelector('.chart-draw canvas').getBoundingClientRect())"
    )
    return await _sees_at(page, box["width"] / 2, expected)


def _ends(page: Page) -> list[int]:
    """Up to when older pieces were asked for, in order."""
    asked: list[dict[str, Any]] = [
        parse_qs(urlsplit(url).query) for url in page.requests if "/api/v1/klines?" in url
    ]
    return [int(one["end"][0]) for one in asked if "end" in one and "start" not in one]
