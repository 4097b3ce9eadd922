"""``pages``: how soon each page is painted in Chromium, and whether the map of 740 symbols by 365 days stays smooth.

``marketd serve`` on loopback over a database of the benchmark's own (``pages_market``), and a headless Chromium that
draws with the processor: a screen with a graphics card is not slower. Every page is opened several times with an empty
cache. Then the map is scrolled, its rows are looked for and pointed at, and the chart is dragged to its past, while
Chromium's own trace says how long each task of the page's main thread took.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.feed import free_port
from benchmarks.live import daemon_on, database_in, environment
from benchmarks.pages_market import SYMBOL, fill
from benchmarks.pages_trace import traced
from tests.support.browser import Page, browser
from tests.support.eventually import eventually

SYMBOLS = int(os.environ.get("MARKETD_PAGES_SYMBOLS", "740"))
DAYS = 365
TIMES = int(os.environ.get("MARKETD_PAGES_TIMES", "7"))
_ANSWER_S = 60.0
_REREAD_S = 12.0
"""The map asks for itself again every 10 s: what that costs belongs to what is measured."""
_PAGES = {
    "overview": ("/?days=365", ".map-scroll"),
    "chart": (f"/chart?symbol={SYMBOL}&interval=1h", ".chart-values"),
    "analysis": ("/analysis", "td"),
    "arbitrage": ("/arbitrage", "td"),
    "tasks": ("/tasks", "td"),
    "alerts": ("/alerts", "td"),
}
"""Where each page is, and what is there once it shows data."""

_FIRST = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
_SHOWN = """(() => {
    const look = () => {
        if (window.shownAt || !document.querySelector(%s)) return;
        window.shownAt = 1;
        requestAnimationFrame(() => setTimeout(() => { window.shownAt = performance.now(); }));
    };
    new MutationObserver(look).observe(document, { childList: true, subtree: true });
})()"""
_SCROLL = """new Promise((done) => {
    const map = document.querySelector('.map-scroll');
    map.scrollIntoView({ block: 'center' });
    const frames = [];
    let before = 0;
    let step = 36;
    const turn = (now) => {
        if (before) frames.push(now - before);
        before = now;
        if (map.scrollTop + map.clientHeight >= map.scrollHeight - 1) step = -Math.abs(step);
        if (map.scrollTop <= 0) step = Math.abs(step);
        map.scrollTop += step;
        if (frames.length < 720) requestAnimationFrame(turn);
        else done(frames);
    };
    requestAnimationFrame(turn);
})"""
"""Twelve seconds up and down the map, as fast as a page a second; milliseconds between frames."""


async def run() -> dict[str, object]:
    """{first_paint_ms, shown_ms: by page; longest_tasks_ms: by what is done; scroll_frame_p99_ms, ...}."""
    folder = Path(tempfile.mkdtemp(prefix="marketd-pages-"))
    port = free_port()
    try:
        with database_in(folder / "pg") as url:
            fill(url, SYMBOLS, DAYS)
            settings = environment(
                DATABASE_URL=url,
                API_PORT=str(port),
                API_REQUESTS_PER_MINUTE="1000000",
                METRICS_PORT="0",
                GRPC_PORT="0",
            )
            with daemon_on(folder, settings, "serve"):
                return await _measured(f"http://127.0.0.1:{port}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measured(url: str) -> dict[str, object]:
    first, shown = {}, {}
    async with browser() as page:
        await page.call("Network.setCacheDisabled", cacheDisabled=True)
        for name, (path, sign) in _PAGES.items():
            first[name], shown[name] = await _opened(page, url + path, sign)
        used = await _used(page, url)
        if page.problems:
            raise RuntimeError(f"the pages complain: {page.problems}")
    return {
        "symbols": SYMBOLS,
        "days": DAYS,
        "times": TIMES,
        "first_paint_ms": first,
        "first_paint_max_ms": max(first.values()),
        "shown_ms": shown,
        **used,
    }


async def _opened(page: Page, url: str, sign: str) -> tuple[float, float]:
    """Medians: first paint with content in it, and the frame with the data; ms since the address was entered."""
    script = await page.call("Page.addScriptToEvaluateOnNewDocument", source=_SHOWN % repr(sign))
    first, shown = [], []
    for _ in range(TIMES):
        await page.open("about:blank")
        await page.open(url)
        first.append(await eventually(lambda: page.value(_FIRST), timeout=_ANSWER_S))
        shown.append(
            await eventually(
                lambda: page.value("window.shownAt > 1 ? window.shownAt : 0"), timeout=_ANSWER_S, message=url
            )
        )
    await page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])
    return round(statistics.median(first), 1), round(statistics.median(shown), 1)


async def _used(page: Page, url: str) -> dict[str, object]:
    """The longest task of each thing that a person does, and frames while the map is scrolled."""
    frames: list[float] = []
    map_url = url + _PAGES["overview"][0]

    async def scroll() -> None:
        frames.extend(await asyncio.wait_for(page.value(_SCROLL), _ANSWER_S))

    steps: dict[str, Callable[[], Awaitable[Any]]] = {
        "open_map": lambda: _open(page, map_url, ".map-scroll"),
        "scroll": scroll,
        "reread": lambda: asyncio.sleep(_REREAD_S),
        "search": lambda: _search(page),
        "point": lambda: _point(page),
        "open_chart": lambda: _open(page, url + _PAGES["chart"][0], ".chart-values"),
        "drag_chart": lambda: _drag(page),
    }
    longest = {name: await traced(page, step) for name, step in steps.items()}
    frames.sort()
    return {
        "longest_tasks_ms": {name: clock for name, (clock, _) in longest.items()},
        "longest_tasks_cpu_ms": {name: processor for name, (_, processor) in longest.items()},
        "longest_task_ms": max(clock for clock, _ in longest.values()),
        "longest_task_cpu_ms": max(processor for _, processor in longest.values()),
        "scroll_frames": len(frames),
        "scroll_frame_p50_ms": round(frames[len(frames) // 2], 1),
        "scroll_frame_p99_ms": round(frames[int(len(frames) * 0.99)], 1),
        "scroll_frame_max_ms": round(frames[-1], 1),
    }


async def _open(page: Page, url: str, sign: str) -> None:
    await page.open(url)
    await page.becomes(f"document.querySelector({sign!r}) !== null", True)
    await _drawn(page)


async def _drawn(page: Page) -> None:
    await page.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def _search(page: Page) -> None:
    """A name is typed and deleted again, letter by letter."""
    await page.value("document.querySelector('input[type=search]').focus()")
    for letter in "A07":
        await page.call("Input.insertText", text=letter)
        await _drawn(page)
    await page.type("input[type=search]", "")
    await _drawn(page)


async def _point(page: Page) -> None:
    """The pointer wanders over the map, and a day is chosen."""
    box = await page.value(
        "(({ x, y, width, height }) => ({ x, y, width, height }))"
        "(document.querySelector('.map-scroll').getBoundingClientRect())"
    )
    for n in range(60):
        await page.call(
            "Input.dispatchMouseEvent",
            type="mouseMoved",
            x=box["x"] + 140 + (box["width"] - 160) * n / 60,
            y=box["y"] + box["height"] * n / 60,
        )
    await page.click_at(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await page.becomes("document.querySelector('.day table, .day .soft') !== null", True)


async def _drag(page: Page) -> None:
    """The chart is dragged to older bars, which are loaded meanwhile."""
    for _ in range(6):
        await page.call(
            "Input.dispatchMouseEvent", type="mousePressed", x=200, y=400, button="left", clickCount=1
        )
        for n in range(1, 31):
            await page.call("Input.dispatchMouseEvent", type="mouseMoved", x=200 + 25 * n, y=400, buttons=1)
        await page.call(
            "Input.dispatchMouseEvent", type="mouseReleased", x=950, y=400, button="left", clickCount=1
        )
        await _drawn(page)
