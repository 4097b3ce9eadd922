"""What a person does with a running marketd, from the first task to the alert that fires: all in Chromium."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from src.model import MINUTE_MS
from tests.acceptance.pages.crossing import Alert, closes_of, soon_crossed
from tests.acceptance.pages.lines import lines
from tests.acceptance.pages.living import PATIENCE_S, Living, living
from tests.acceptance.pages.pictures import pictured
from tests.faults.database import ask
from tests.integration.arbitrage.world import END_MS, POOL, START_MS, SYMBOL, iso, stored_world
from tests.support.browser import Page
from tests.support.eventually import eventually
from tests.support.receiver import Receiver, receiving, signed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_SYMBOL = "BTCUSDT"
_TIMEFRAME = "5m"
_SECRET = "0123456789abcdef0123"
_STATE = "document.querySelector('.task-page h2 .tag')?.innerText"


async def test_from_a_task_to_the_alert_that_fires(page: Page, database: str, tmp_path: Path) -> None:
    await stored_world(database)
    async with (
        receiving() as desk,
        living(database, tmp_path, ALERT_TARGETS=f"desk={desk.url}", ALERT_SECRET=_SECRET) as market,
    ):
        await _make_bars(page, market)
        await _cancel_a_task(page, market)
        await _analyse(page)
        await _look_at_the_chart(page, market)
        await _see_it_grow(page)
        desk.statuses = [503]
        alert = await _make_an_alert_of_a_level(page, market)
        await _see_it_fire(page, market, alert)
        await _see_it_delivered(page, market, alert, desk)
        await _look_for_arbitrage(page, market)
        await _see_a_hole_and_its_repair(page, market)
        assert page.problems == []
        assert [url for url in page.requests if not url.startswith((market.url, "data:"))] == []


async def _make_bars(page: Page, market: Living) -> None:
    await page.open(f"{market.url}/tasks")
    await page.sees("Bars@", within=PATIENCE_S)  # the schedule's, of a period that was over at the start
    await page.click("New task")
    await page.choose("dialog select", "Bars")
    await page.sees("How many days of symbols are made anew in this run")
    await page.click("Start", among="dialog button")
    await page.becomes(_STATE, "done", within=PATIENCE_S)


async def _cancel_a_task(page: Page, market: Living) -> None:
    """One that is at work: of the file that it fetches only half comes. By the keyboard."""
    stall = market.sandbox.control.archive("stall", path="aggTrades")
    await page.click("New task")
    await page.choose("dialog select", "CollectBinance")
    await page.type(_field("symbol"), _SYMBOL)
    await page.choose("dialog select[name=market]", "futures")
    await page.click("Start", among="dialog button")
    await page.becomes(_STATE, "running", within=PATIENCE_S)
    await page.becomes("document.querySelector('.task-page button.danger')?.innerText", "Cancel")
    await pictured(page, "running")
    await page.value("document.querySelector('.task-page button.danger').focus()")
    await page.press("Enter")
    await page.becomes(_STATE, "cancelled", within=PATIENCE_S)
    await page.becomes("document.querySelector('.task-page button.danger')", None)
    (task,) = (await market.get("/api/v1/tasks", state="CANCELLED"))["data"]
    assert task["kind"] == "CollectBinance"
    assert task["started_ms"] is not None, "it was at work"
    await page.choose(".tools select", "CANCELLED")
    await page.becomes("document.querySelectorAll('tbody tr').length", 1)
    market.sandbox.control.end_fault(stall.number)


async def _analyse(page: Page) -> None:
    await page.click("Analysis")
    await page.sees("Nothing was analysed yet.")
    await page.type("form input.symbol", _SYMBOL)
    await page.choose("form select", _TIMEFRAME)
    await page.click("Start")
    await page.click("Asked for as task")
    await page.becomes(_STATE, "done", within=PATIENCE_S)
    await pictured(page, "tasks")
    await page.click("Analysis")
    await page.click("Details")
    await page.sees("Touches")
    await pictured(page, "analysis")


async def _look_at_the_chart(page: Page, market: Living) -> None:
    """The lines are where the result says: at its prices, by the scale that the candles have."""
    await page.click("Chart", among="td a")
    await page.becomes("location.pathname", "/chart")
    (result,) = (await market.get("/api/v1/analysis/results", symbol=_SYMBOL))["data"]
    told = {one["price"]: "support" for one in result["support_levels"]}
    told |= {one["price"]: "resistance" for one in result["resistance_levels"]}
    assert told, "the analysis found levels"

    async def drawn() -> bool:
        seen = await lines(page)
        assert seen, "no level is in sight"
        assert {one["price"]: one["side"] for one in seen}.items() <= told.items()
        heights = [one["y"] for one in seen]
        for line in seen:
            # Of two lines in one place the upper one is seen.
            is_alone = all(other == line["y"] or abs(other - line["y"]) > 3 for other in heights)
            assert line["dashes"] > 5 or not is_alone, f"nothing is drawn at {line}"
        return True

    await eventually(drawn, timeout=PATIENCE_S)


async def _see_it_grow(page: Page) -> None:
    """The bar of the present takes up each minute as it closes."""
    await page.becomes("document.querySelector('.link')?.innerText", "live")
    seen = await page.value(_NEWEST)
    for _ in range(3):
        seen = await eventually(partial(_another, page, seen), timeout=PATIENCE_S)
    await pictured(page, "chart")


_NEWEST = "document.querySelector('.chart-values')?.innerText"


async def _another(page: Page, before: str) -> str:
    found = str(await page.value(_NEWEST))
    return found if found != before else ""


async def _make_an_alert_of_a_level(page: Page, market: Living) -> Alert:
    """A click on a line; price and direction are changed to what is crossed soon and often."""
    line = await eventually(lambda: _clicked(page), timeout=PATIENCE_S)
    expected = "long" if line["side"] == "support" else "short"
    await page.becomes("document.querySelector('dialog select')?.value", expected)
    now = market.sandbox.now_ms() // MINUTE_MS
    price, direction = soon_crossed(closes_of(market.sandbox, _SYMBOL, now + 5, now + 25))
    await page.type("dialog input[type=number]", str(price))
    await page.choose("dialog select", direction)
    await page.choose("dialog label:has(option[value='']) select", "desk")
    await pictured(page, "alert")
    await page.click("Make the alert")
    await page.sees(f"The alert on {_SYMBOL}")
    (made,) = (await market.get("/api/v1/alerts"))["data"]
    assert (made["symbol"], made["price"], made["direction"]) == (_SYMBOL, price, direction)
    return Alert(made["alert_id"], price, direction, now, market.sandbox.now_ms() // MINUTE_MS)


async def _clicked(page: Page) -> dict[str, Any]:
    """A line that a click met; none where the scale moved just then, as a candle came."""
    for line in await lines(page):
        await page.click_at(line["x"] + 300, line["y"])
        with suppress(AssertionError):
            price = await eventually(lambda: page.value(_ASKED), timeout=5)
            if price == line["price"]:
                return line
            await page.click("×", among="dialog button")
            await page.becomes(_ASKED, 0)
    return {}


_ASKED = "Number(document.querySelector('dialog[open] input[type=number]')?.value ?? 0)"


async def _see_it_fire(page: Page, market: Living, alert: Alert) -> None:
    """The page tells of it; and what fired is each crossing once, by the exchange's own word."""
    await page.click("Alerts")
    await page.becomes(
        "document.querySelectorAll('section:last-of-type tbody tr').length > 0", True, within=PATIENCE_S
    )
    events = (await market.get("/api/v1/alerts/events", alert_id=alert.number))["data"]
    fired = sorted((one["bucket_ms"] // MINUTE_MS, one["close"]) for one in events)
    closes = closes_of(market.sandbox, _SYMBOL, alert.earliest - 1, fired[-1][0] + 1)
    crossed = {
        (alert.earliest + place, after)
        for place, (before, after) in enumerate(pairwise(closes))
        if alert.is_crossed(before, after)
    }
    assert len(fired) == len(set(fired)) and set(fired) <= crossed
    assert {one for one in crossed if one[0] > alert.latest} <= set(fired)


async def _see_it_delivered(page: Page, market: Living, alert: Alert, desk: Receiver) -> None:
    """To the target, the first event at the second attempt, for it did not take the first; and the page says so."""
    await page.sees("delivered to desk, attempt 2", within=PATIENCE_S)
    await pictured(page, "alerts")
    await page.click("×, last", among="td a")
    await page.sees(f"History of the alert on {_SYMBOL}")
    await page.click("Show all")
    events = (await market.get("/api/v1/alerts/events", alert_id=alert.number))["data"]
    delivered = {one["event_id"] for one in events if one["delivery"] == "delivered"}
    assert delivered <= {int(headers["X-Marketd-Event"]) for headers, _ in desk.seen}
    assert all(
        headers["X-Marketd-Signature"] == signed(_SECRET, headers, body) for headers, body in desk.seen
    )


async def _look_for_arbitrage(page: Page, market: Living) -> None:
    """Of trades and swaps that were stored before: series of both prices, and what an analysis makes of them."""
    await page.click("Arbitrage")
    await page.sees("There are no batches.")
    await market.do(
        "ProcessPrices", start_date=iso(START_MS), end_date=iso(END_MS), symbol=SYMBOL, pool=POOL.address
    )
    await page.click("Tasks")
    await page.click("New task")
    await page.choose("dialog select", "Analyse")
    await page.sees("screen compares the two prices")
    await pictured(page, "new-task")
    await page.type(_field("strategy.symbol"), SYMBOL)
    await page.type(_field("strategy.pool"), POOL.address)
    await page.click("Start", among="dialog button")
    await page.becomes(_STATE, "done", within=PATIENCE_S)
    await page.click("Arbitrage")
    await page.sees("Auto Batch 1")
    (batch,) = (await market.get("/api/v1/batches"))["data"]
    assert batch["opportunities"] > 0
    await page.sees(f"{batch['opportunities']} in all")
    await page.becomes("document.querySelectorAll('.small-chart canvas').length > 0", True)
    await pictured(page, "arbitrage")


def _field(name: str) -> str:
    return f"dialog input[name='{name}']"


async def _see_a_hole_and_its_repair(page: Page, market: Living) -> None:
    """Minutes that are lost are on the map until they are there again: at first the exchange does not answer."""
    yesterday = datetime.fromtimestamp(market.sandbox.now(), UTC).date() - timedelta(days=1)
    await page.open(f"{market.url}/?days=30&search=ETHUSDT")
    await page.sees("due are stored")
    await page.value("document.querySelector('.map-scroll').focus()")
    await page.press("ArrowLeft")
    await page.sees(f"ETHUSDT, {yesterday}")
    await page.sees("1 440 of 1 440 stored, 0 missing")
    await page.sees("No minute of this day is missing.")
    market.sandbox.control.rest(mode="error", status=503, path="klines")
    lost = await ask(
        market.database,
        "DELETE FROM market_data.candles_1m WHERE symbol = 'ETHUSDT'"
        " AND bucket_ts >= %s::date + interval '3 hours' AND bucket_ts < %s::date + interval '3 hours 37 minutes'"
        " RETURNING 1",
        yesterday,
        yesterday,
    )
    assert len(lost) == 37
    await page.sees("1 403 of 1 440 stored, 37 missing", within=PATIENCE_S)
    await page.sees(f"{yesterday} 03:37", within=PATIENCE_S)
    await pictured(page, "overview")
    market.sandbox.control.clear()
    await page.sees("1 440 of 1 440 stored, 0 missing", within=PATIENCE_S)
    await page.sees("No minute of this day is missing.", within=PATIENCE_S)
