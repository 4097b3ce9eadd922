"""Chromium's own account of what the main thread of a page did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from tests.support.browser import Page

_CATEGORIES = ["disabled-by-default-devtools.timeline", "toplevel", "__metadata"]


async def traced(page: Page, step: Callable[[], Awaitable[Any]]) -> tuple[float, float]:
    """Milliseconds of the longest task of the page's main thread while ``step`` is done: by the clock, and of the
    processor, which is less where others used it meanwhile."""
    events: list[dict[str, Any]] = []
    complete = asyncio.Event()
    page.listeners["Tracing.dataCollected"] = lambda given: events.extend(given["value"])
    page.listeners["Tracing.tracingComplete"] = lambda _: complete.set()
    await page.call(
        "Tracing.start", transferMode="ReportEvents", traceConfig={"includedCategories": _CATEGORIES}
    )
    try:
        await step()
    finally:
        await page.call("Tracing.end")
        await asyncio.wait_for(complete.wait(), 60)
    clock, processor = zip(*_tasks(events), strict=True)
    return round(max(clock) / 1000, 1), round(max(processor) / 1000, 1)


def _tasks(events: Iterable[dict[str, Any]]) -> list[tuple[float, float]]:
    """Microseconds of each task of the renderers' main threads, clock and processor (the clock where none was told).

    Raises ``RuntimeError`` where the trace names none.
    """
    known = list(events)
    threads = {
        (one["pid"], one["tid"])
        for one in known
        if one["name"] == "thread_name" and one["args"]["name"] == "CrRendererMain"
    }
    found = [
        (float(one["dur"]), float(one.get("tdur", one["dur"])))
        for one in known
        if one["name"] in ("RunTask", "ThreadControllerImpl::RunTask")
        and one.get("ph") == "X"
        and (one["pid"], one["tid"]) in threads
    ]
    if not found:
        raise RuntimeError("the trace has no task of a page")
    return found
