"""Events go to their targets over a real socket: signed, tried again, given up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random

import orjson
import pytest

from src.adapters.webhooks.targets import WebhookTargets
from src.clock import VenueClock
from src.collectors.alerts.delivering import ATTEMPTS, AlertDelivery, body_of, pause_s
from src.errors import BadData, Unavailable
from src.model.alerts import Delivery, Looked
from src.telemetry.metrics import Metrics
from tests.support.receiver import Receiver, receiving, signed

SECRET = "0123456789abcdef"
TOLD = {
    "event_id": 7,
    "alert_id": 3,
    "symbol": "币安人生USDT",
    "price": 100.0,
    "direction": "long",
    "bucket_ms": 1_764_201_600_000,
    "close": 99.5,
    "note": "support",
}


def delivery(target: str = "desk", attempt: int = 1) -> Delivery:
    return Delivery(**TOLD, target=target, attempt=attempt)  # type: ignore[arg-type]


class Events:
    """``ports.alerts.AlertEvents`` with what is given, and how each of them ended."""

    def __init__(self, *due: Delivery) -> None:
        self.due = list(due)
        self.ended: list[tuple[str, str, float]] = []
        self.is_away = False

    async def look(self, until_ms: int) -> Looked:
        return Looked(0, 0, 0)

    async def take(self, *, limit: int, lease_s: float) -> list[Delivery]:
        taken, self.due = self.due[:limit], self.due[limit:]
        return taken

    async def settle(self, delivery: Delivery, state: str, *, error: str = "", again_s: float = 0.0) -> None:
        if self.is_away:
            raise Unavailable("the database is away")
        self.ended.append((state, error, again_s))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
async def targets(receiver: Receiver) -> AsyncIterator[WebhookTargets]:
    found = WebhookTargets({"desk": receiver.url, "gone": "http://127.0.0.1:1/"}, SECRET)
    yield found
    await found.close()


async def delivered(events: Events, targets: WebhookTargets) -> Metrics:
    metrics = Metrics()
    await AlertDelivery(events, targets, VenueClock(), metrics, rng=Random(1)).deliver()
    return metrics


async def test_an_event_arrives_signed(receiver: Receiver, targets: WebhookTargets) -> None:
    events = Events(delivery())
    metrics = await delivered(events, targets)
    assert events.ended == [("delivered", "", 0.0)]
    [(headers, body)] = receiver.seen
    assert orjson.loads(body) == TOLD
    assert headers["X-Marketd-Event"] == "7"
    assert headers["X-Marketd-Signature"] == signed(SECRET, headers, body)
    assert metrics.registry.get_sample_value("marketd_alert_deliveries_total", {"result": "delivered"}) == 1


@pytest.mark.parametrize("status", [500, 503, 408, 429])
async def test_what_may_pass_is_tried_again(receiver: Receiver, targets: WebhookTargets, status: int) -> None:
    receiver.status, receiver.headers = status, {"Retry-After": "900"}
    events = Events(delivery())
    await delivered(events, targets)
    assert events.ended == [("waiting", f"the target answers {status}", 900.0)]


@pytest.mark.parametrize("status", [301, 307, 400, 404, 410])
async def test_what_will_not_is_given_up(receiver: Receiver, targets: WebhookTargets, status: int) -> None:
    # H12: a redirect is not followed, wherever it leads.
    receiver.status, receiver.headers = status, {"Location": receiver.url}
    events = Events(delivery())
    metrics = await delivered(events, targets)
    assert [state for state, _, _ in events.ended] == ["dead"]
    assert len(receiver.seen) == 1
    assert metrics.registry.get_sample_value("marketd_alert_deliveries_total", {"result": "dead"}) == 1


async def test_the_last_attempt_is_the_last(targets: WebhookTargets) -> None:
    events = Events(delivery("gone", ATTEMPTS - 1), delivery("gone", ATTEMPTS))
    await delivered(events, targets)
    assert sorted(state for state, _, _ in events.ended) == ["dead", "waiting"]


async def test_no_error_holds_an_address(targets: WebhookTargets) -> None:
    for name, kind in (("gone", Unavailable), ("nobody", BadData)):
        with pytest.raises(kind) as caught:
            await targets.send(name, 1, b"{}", now_s=1)
        assert "127.0.0.1" not in str(caught.value)
        assert caught.value.__cause__ is None


async def test_what_cannot_be_noted_does_not_end_the_others(
    receiver: Receiver, targets: WebhookTargets
) -> None:
    events = Events(delivery(), delivery())
    events.is_away = True
    await delivered(events, targets)
    assert len(receiver.seen) == 2


def test_pauses_grow_to_an_hour() -> None:
    pauses = [pause_s(attempt, Random(3)) for attempt in range(1, ATTEMPTS)]
    assert 2.5 <= pauses[0] <= 5
    assert all(pause <= 3600 for pause in pauses)
    assert sum(pauses) > 6 * 3600


def test_a_body_holds_what_the_api_says() -> None:
    assert set(orjson.loads(body_of(delivery()))) == set(TOLD)
