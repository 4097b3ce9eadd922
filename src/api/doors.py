"""Every open connection of HTTP and of the live feed: how many there may be, and which of them are overdue."""

from __future__ import annotations

from typing import Protocol

from ..telemetry.metrics import Metrics
from .limits import Limits


class Door(Protocol):
    """A connection. ``overdue`` looks at its deadlines and ends it itself, ``cut`` ends it at once.

    Times are the loop's.
    """

    def overdue(self, now: float) -> None: ...

    def cut(self) -> None: ...


class Doors:
    """One for each server."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self.limits = limits
        self._metrics = metrics
        self._callers: set[Door] = set()
        self._listeners: set[Door] = set()

    @property
    def callers(self) -> int:
        return len(self._callers)

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def call(self, door: Door) -> bool:
        """Let one more connection of HTTP in; False where there are enough."""
        if len(self._callers) >= self.limits.connections:
            self.refused("connections")
            return False
        self._callers.add(door)
        self._count()
        return True

    @property
    def may_listen(self) -> bool:
        return len(self._listeners) < self.limits.listeners

    def listen(self, door: Door) -> None:
        """A connection of HTTP became one of the live feed."""
        self._listeners.add(door)
        self._count()

    def leave(self, door: Door) -> None:
        self._callers.discard(door)
        self._listeners.discard(door)
        self._count()

    def refused(self, reason: str) -> None:
        """Count what was refused or cut off before a route saw it."""
        self._metrics.api_refused.labels(reason=reason).inc()

    def sweep(self, now: float) -> None:
        """Look at every deadline."""
        for door in (*self._callers, *self._listeners):
            door.overdue(now)

    def cut(self) -> None:
        """End what is still open, at once."""
        for door in (*self._callers, *self._listeners):
            door.cut()

    def cut_listeners(self) -> None:
        """End the live feed's connections; whoever still may listen comes back."""
        for door in tuple(self._listeners):
            door.cut()

    def _count(self) -> None:
        self._metrics.api_connections.labels(kind="http").set(len(self._callers))
        self._metrics.api_connections.labels(kind="feed").set(len(self._listeners))
