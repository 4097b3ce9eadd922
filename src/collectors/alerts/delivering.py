"""Delivers events to their targets: again and again for half a day, then never."""

from __future__ import annotations

import asyncio
from random import Random

import orjson

from ...errors import MarketdError, Permanent, Retryable
from ...model.alerts import Delivery
from ...ports.alerts import AlertEvents, Targets
from ...ports.clock import Clock
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics

ATTEMPTS = 24
_AT_ONCE = 8
_EVERY_S = 2.0
_LEASE_S = 60.0
"""Longer than an attempt may take; whoever is killed on the way is followed after it."""
_FIRST_S, _LAST_S = 5.0, 3600.0

_log = get_logger("alerts")


class AlertDelivery:
    """At least once: a receiver that is told twice, after a kill or a lost answer, sees the same event number."""

    def __init__(
        self,
        events: AlertEvents,
        targets: Targets,
        clock: Clock,
        metrics: Metrics,
        *,
        every_s: float = _EVERY_S,
        rng: Random | None = None,
    ) -> None:
        self._events, self._targets, self._clock, self._metrics = events, targets, clock, metrics
        for result in (
            "delivered",
            "again",
            "dead",
        ):  # a series that is there from the start can be alerted on
            metrics.alert_deliveries.labels(result=result)
        self._every_s = every_s
        self._rng = rng or Random()

    async def run(self) -> None:
        """Deliver until cancelled. Raises what the database raises."""
        while True:
            if await self.deliver() < _AT_ONCE:
                await asyncio.sleep(self._every_s)

    async def deliver(self) -> int:
        """Try those whose turn it is, side by side; how many that were."""
        taken = await self._events.take(limit=_AT_ONCE, lease_s=_LEASE_S)
        async with asyncio.TaskGroup() as group:
            for delivery in taken:
                group.create_task(self._try(delivery), name=f"alert event {delivery.event_id}")
        return len(taken)

    async def _try(self, delivery: Delivery) -> None:
        try:
            await self._targets.send(
                delivery.target, delivery.event_id, body_of(delivery), now_s=int(self._clock.now())
            )
        except Retryable as error:
            if delivery.attempt < ATTEMPTS:
                wait = max(pause_s(delivery.attempt, self._rng), error.retry_after)
                await self._settle(delivery, "waiting", "again", str(error), wait)
            else:
                await self._settle(delivery, "dead", "dead", str(error))
        except Permanent as error:
            await self._settle(delivery, "dead", "dead", str(error))
        else:
            await self._settle(delivery, "delivered", "delivered")

    async def _settle(
        self, delivery: Delivery, state: str, result: str, error: str = "", again_s: float = 0.0
    ) -> None:
        try:
            await self._events.settle(delivery, state, error=error, again_s=again_s)
        except MarketdError as problem:
            # It comes again when its lease is over; its number tells the receiver that it has it.
            _log.warning("alert_unsettled", msg=str(problem), event_id=delivery.event_id)
            return
        self._metrics.alert_deliveries.labels(result=result).inc()
        if state == "dead":
            _log.error(
                "alert_dead",
                msg=f"{delivery.target}: given up: {error}",
                event_id=delivery.event_id,
                attempts=delivery.attempt,
            )


def body_of(delivery: Delivery) -> bytes:
    """What a target is sent: the event in JSON, with the names that the API has."""
    return orjson.dumps(
        {
            "event_id": delivery.event_id,
            "alert_id": delivery.alert_id,
            "symbol": delivery.symbol,
            "price": delivery.price,
            "direction": delivery.direction,
            "bucket_ms": delivery.bucket_ms,
            "close": delivery.close,
            "note": delivery.note,
        }
    )


def pause_s(attempt: int, rng: Random) -> float:
    """Seconds before the attempt after this one: twice as long each time, an hour at most, spread by a half."""
    return min(_FIRST_S * 2.0 ** (attempt - 1), _LAST_S) * rng.uniform(0.5, 1.0)
