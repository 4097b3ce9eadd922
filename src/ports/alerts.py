"""Alerts: who keeps them, who looks at candles for them, who carries what they say."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from ..model.alerts import Delivery, Looked, NewAlert


class AlertBook(Protocol):
    """The alerts that there are. All raise ``Retryable`` or ``Misconfigured``.

    ``add`` returns the number of the new one, None where there are as many as there may be. ``switch`` and ``remove``
    are False for one that is not there. Times are UTC ms of the venue.
    """

    async def add(self, alert: NewAlert, *, now_ms: int) -> int | None: ...

    async def switch(self, alert_id: int, *, enabled: bool, now_ms: int) -> bool: ...

    async def remove(self, alert_id: int) -> bool: ...


class AlertEvents(Protocol):
    """What became of alerts. All raise ``Retryable`` or ``Misconfigured``.

    ``look`` writes the events of every candle that closed before ``until_ms`` and was not looked at yet, in one
    transaction with how far it looked. ``take`` gives events to deliver; each comes again after ``lease_s`` unless
    ``settle`` said how it ended: ``delivered``, ``dead``, or ``waiting`` to be tried again after ``again_s``.
    """

    async def look(self, until_ms: int) -> Looked: ...

    async def take(self, *, limit: int, lease_s: float) -> list[Delivery]: ...

    async def settle(
        self, delivery: Delivery, state: str, *, error: str = "", again_s: float = 0.0
    ) -> None: ...


class Targets(Protocol):
    """The targets of the configuration, by name.

    ``send`` raises ``Retryable``, or ``Permanent`` where trying again helps nobody; neither text holds an address.
    """

    @property
    def names(self) -> Collection[str]: ...

    async def send(self, target: str, event_id: int, body: bytes, *, now_s: int) -> None: ...
