"""When alerts are looked at, up to when, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from src.collectors.alerts.looking import AlertLooker
from src.model import MINUTE_MS
from src.model.alerts import Delivery, Looked
from src.telemetry.metrics import Metrics
from tests.support.fakes import EPOCH_MS, StepClock, count


class Events:
    """``ports.alerts.AlertEvents`` that finds what it is told; ends the loop when that is used up."""

    def __init__(self, *found: Looked) -> None:
        self._found: Iterator[Looked] = iter(found)
        self.until: list[int] = []

    async def look(self, until_ms: int) -> Looked:
        self.until.append(until_ms)
        try:
            return next(self._found)
        except StopIteration:
            raise asyncio.CancelledError from None

    async def take(self, *, limit: int, lease_s: float) -> list[Delivery]:
        return []

    async def settle(self, delivery: Delivery, state: str, *, error: str = "", again_s: float = 0.0) -> None:
        raise AssertionError


class Clock(StepClock):
    """Notes how long is slept, and does not wait."""

    def __init__(self, now_s: float) -> None:
        super().__init__(now_s)
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_only_minutes_that_are_over_are_looked_at_and_what_was_found_is_counted() -> None:
    metrics, events = Metrics(), Events(Looked(3, 2, 1), Looked(0, 0, 0))
    looker = AlertLooker(events, Clock((EPOCH_MS + 59_999) / 1000), metrics)
    assert await looker.look() == 1
    assert (count(metrics, "alert_events_total"), count(metrics, "alerts_behind")) == (3, 1)
    assert await looker.look() == 0
    assert (count(metrics, "alert_events_total"), count(metrics, "alerts_behind")) == (3, 0)
    assert events.until == [EPOCH_MS] * 2
    assert EPOCH_MS % MINUTE_MS == 0


async def test_it_pauses_only_when_nothing_is_left_to_catch_up() -> None:
    events = Events(Looked(0, 4, 4), Looked(0, 4, 1), Looked(0, 4, 0), Looked(0, 0, 0))
    clock = Clock(EPOCH_MS / 1000)
    with pytest.raises(asyncio.CancelledError):
        await AlertLooker(events, clock, Metrics(), every_s=5.0).run()
    assert clock.slept == [0, 0, 5.0, 5.0]
