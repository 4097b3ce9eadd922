"""What all connections of one stream share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from cryptofeed.connection import AsyncConnection

from ....ports import Clock
from ....telemetry.metrics import Metrics
from .dial import Dialer
from .frame_counts import FrameCounts
from .options import StreamOptions
from .pacing import SlidingWindow

_ATTEMPTS_PER_SECOND = 2
"""Connections that were all dropped at once come back one after the other."""


class FrameTaker(Protocol):
    """Takes what connections read. ``suffix`` makes a symbol's stream, ``trades`` says what the frames carry."""

    @property
    def suffix(self) -> str: ...

    @property
    def trades(self) -> bool: ...

    async def handle(self, frame: bytes, connection: AsyncConnection, counts: FrameCounts) -> None: ...


class AttemptGate:
    """Lets connection attempts through in their order, no more than the venue's address limits allow."""

    def __init__(self, options: StreamOptions, clock: Clock) -> None:
        self._clock = clock
        self._turn = asyncio.Lock()
        self._windows = (
            SlidingWindow(options.attempts, options.attempt_window_s),
            SlidingWindow(_ATTEMPTS_PER_SECOND, 1.0),
        )

    async def permit(self) -> None:
        """Wait until one more attempt may be made, and count it."""
        async with self._turn:
            while (delay := max(w.delay(self._clock.monotonic()) for w in self._windows)) > 0:
                await self._clock.sleep(delay)
            for window in self._windows:
                window.take(self._clock.monotonic())


@dataclass(slots=True)
class Shared:
    """The parts that every connection uses; ``update_subscribed`` recounts the symbols of the gauge."""

    options: StreamOptions
    clock: Clock
    metrics: Metrics
    dialer: Dialer
    gate: AttemptGate
    frames: FrameTaker
    rng: Random
    update_subscribed: Callable[[], None]
    one_takeover: asyncio.Lock = field(default_factory=asyncio.Lock)

    def takeover_age(self) -> float:
        """Venue seconds that a connection may live, drawn so that they do not all end together."""
        jitter = min(self.options.takeover_jitter_s, self.options.takeover_age_s / 2)
        return self.options.takeover_age_s + self.rng.uniform(-jitter, jitter)
