"""Events of alerts and their targets: taken by one, tried until they are there, given up at the end."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from src.adapters.timescale.alert_store import AlertStore
from src.adapters.timescale.candles.store import CandleStore
from src.adapters.webhooks.targets import WebhookTargets
from src.clock import VenueClock
from src.collectors.alerts import delivering
from src.collectors.alerts.delivering import ATTEMPTS, AlertDelivery
from src.model import MINUTE_MS
from src.model.alerts import NewAlert
from src.telemetry.metrics import Metrics
from tests.faults.database import ask
from tests.support.receiver import receiving, signed

from .alert_world import NOW_MS, candle

SECRET = "0123456789abcdef"


async def time_passes(database: str) -> None:
    """Until every attempt that was put off is due."""
    await ask(database, "UPDATE market_data.alert_events SET due_at = now() RETURNING 1")


async def test_each_event_is_taken_by_one_and_comes_again_unless_it_is_settled(
    database: str, candles: CandleStore, book: AlertStore
) -> None:
    await candles.write([candle(0, 110)], [])
    await book.add(NewAlert("BTCUSDT", 100.0, "long", target="desk"), now_ms=NOW_MS + MINUTE_MS)
    await book.add(NewAlert("BTCUSDT", 100.0, "long"), now_ms=NOW_MS + MINUTE_MS)
    await candles.write([candle(1, 90)], [])
    await book.look(NOW_MS + 2 * MINUTE_MS)
    taken = await asyncio.gather(*(book.take(limit=8, lease_s=3600) for _ in range(4)))
    [first] = [delivery for some in taken for delivery in some]
    assert (first.target, first.attempt, first.close, first.bucket_ms) == (
        "desk",
        1,
        90.0,
        NOW_MS + MINUTE_MS,
    )
    assert await book.take(limit=8, lease_s=3600) == []
    await time_passes(database)
    [again] = await book.take(limit=8, lease_s=3600)
    assert (again.event_id, again.attempt) == (first.event_id, 2)
    await book.settle(first, "dead", error="of the one that was taken for dead")
    await book.settle(again, "delivered")
    assert await ask(
        database, "SELECT delivery, error FROM market_data.alert_events ORDER BY target NULLS LAST"
    ) == [("delivered", ""), ("none", "")]
    await time_passes(database)
    assert await book.take(limit=8, lease_s=3600) == []


async def test_an_event_is_tried_until_its_target_has_it(
    database: str, candles: CandleStore, book: AlertStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "_FIRST_S", 600.0)  # before its time is before, however slow the machine
    await candles.write([candle(0, 110)], [])
    alert = await book.add(
        NewAlert("BTCUSDT", 100.0, "long", note="support", target="desk"), now_ms=NOW_MS + MINUTE_MS
    )
    await candles.write([candle(1, 90)], [])
    await book.look(NOW_MS + 2 * MINUTE_MS)
    metrics = Metrics()
    async with receiving() as receiver:
        receiver.statuses = [503, 429]
        targets = WebhookTargets({"desk": receiver.url}, SECRET)
        delivery = AlertDelivery(book, targets, VenueClock(), metrics)
        try:
            for tried, state in enumerate(("waiting", "waiting", "delivered"), 1):
                assert await delivery.deliver() == 1
                assert await _delivery(database) == [(state, tried)]
                assert await delivery.deliver() == 0, "not before its time"
                await time_passes(database)
            assert await delivery.deliver() == 0
        finally:
            await targets.close()
        assert len(receiver.seen) == 3
        for headers, body in receiver.seen:
            assert headers["X-Marketd-Signature"] == signed(SECRET, headers, body)
            told = orjson.loads(body)
            assert (told["alert_id"], told["bucket_ms"], told["close"]) == (alert, NOW_MS + MINUTE_MS, 90.0)
        assert len({headers["X-Marketd-Event"] for headers, _ in receiver.seen}) == 1


async def test_a_target_that_never_takes_it_is_given_up_and_counted(
    database: str, candles: CandleStore, book: AlertStore
) -> None:
    await candles.write([candle(0, 110)], [])
    await book.add(NewAlert("BTCUSDT", 100.0, "long", target="desk"), now_ms=NOW_MS + MINUTE_MS)
    await candles.write([candle(1, 90)], [])
    await book.look(NOW_MS + 2 * MINUTE_MS)
    metrics = Metrics()
    async with receiving() as receiver:
        receiver.status = 500
        targets = WebhookTargets({"desk": receiver.url}, SECRET)
        delivery = AlertDelivery(book, targets, VenueClock(), metrics)
        try:
            for _ in range(ATTEMPTS):
                assert await delivery.deliver() == 1
                await time_passes(database)
            assert await delivery.deliver() == 0
        finally:
            await targets.close()
        assert len(receiver.seen) == ATTEMPTS
    assert await _delivery(database) == [("dead", ATTEMPTS)]
    count = metrics.registry.get_sample_value
    assert count("marketd_alert_deliveries_total", {"result": "dead"}) == 1
    assert count("marketd_alert_deliveries_total", {"result": "again"}) == ATTEMPTS - 1


async def _delivery(database: str) -> list[tuple[object, ...]]:
    return await ask(database, "SELECT delivery, attempts FROM market_data.alert_events")
