"""What the sandbox counted, for tests that must know that traffic flowed and a fault fired."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

_KEPT = 10_000
"""Attempts, subscriptions, downloads and klines remembered; older ones are still in the counters."""


@dataclass(slots=True)
class Attempt:
    """One WebSocket connection attempt. ``outcome``: open, or why it did not become a connection."""

    at_ms: int
    monotonic: float
    path: str
    outcome: str


@dataclass(slots=True)
class Subscription:
    """One SUBSCRIBE or UNSUBSCRIBE message."""

    at_ms: int
    monotonic: float
    connection: int
    method: str
    params: list[str]


@dataclass(slots=True)
class Download:
    """One request for an object of the archive."""

    at_ms: int
    key: str
    status: int


@dataclass(frozen=True, slots=True)
class KlinesAsked:
    """One valid request for candles; times as they were sent, both inclusive."""

    symbol: str
    limit: int
    start_ms: int | None
    end_ms: int | None


@dataclass(slots=True)
class Stats:
    """Counters since the start."""

    frames: Counter[str] = field(default_factory=Counter)
    """Frames handed to connections by kind: open, close, other."""
    suppressed: Counter[str] = field(default_factory=Counter)
    """Frames that a fault kept back, by fault kind."""
    closes_by_symbol: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    """REST requests by ``<path> <status>``; status 0 means no complete answer."""
    weight: Counter[int] = field(default_factory=Counter)
    """Weight used by UTC minute of the exchange (minutes since 1970)."""
    disconnects: Counter[str] = field(default_factory=Counter)
    """Ended connections by reason: the client's close code, or what the sandbox did."""
    messages: Counter[str] = field(default_factory=Counter)
    """Client messages by method."""
    attempts: deque[Attempt] = field(default_factory=lambda: deque(maxlen=_KEPT))
    subscriptions: deque[Subscription] = field(default_factory=lambda: deque(maxlen=_KEPT))
    downloads: deque[Download] = field(default_factory=lambda: deque(maxlen=_KEPT))
    klines: deque[KlinesAsked] = field(default_factory=lambda: deque(maxlen=_KEPT))
    """For tests in this process; no part of ``as_dict``, which others read many times a second."""
    opened: int = 0
    open_now: int = 0
    out_of_order: int = 0
    """Closed frames sent after a later minute of the same symbol."""
    worst_lag_ms: float = 0.0
    """Largest wall delay with which a closed frame left after it was due."""

    def attempt(self, at_ms: int, path: str, outcome: str) -> None:
        self.attempts.append(Attempt(at_ms, time.monotonic(), path, outcome))

    def request(self, path: str, status: int) -> None:
        self.requests[f"{path} {status}"] += 1

    def download(self, at_ms: int, key: str, status: int) -> None:
        """Counted by ending only: ``/archive/*.zip 200``, ``/archive/*.CHECKSUM 404``."""
        self.downloads.append(Download(at_ms, key, status))
        self.request(f"/archive/*.{key.rpartition('.')[2]}", status)

    def subscription(self, at_ms: int, connection: int, method: str, params: list[str]) -> None:
        self.subscriptions.append(Subscription(at_ms, time.monotonic(), connection, method, params))

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "frames": dict(self.frames),
            "suppressed": {str(kind): number for kind, number in self.suppressed.items()},
            "closes_by_symbol": dict(self.closes_by_symbol),
            "requests": dict(self.requests),
            "weight_by_minute": {
                str(minute): weight for minute, weight in sorted(self.weight.items())[-180:]
            },
            "disconnects": dict(self.disconnects),
            "messages": dict(self.messages),
            "attempts": [asdict(attempt) for attempt in self.attempts],
            "subscriptions": [asdict(one) for one in self.subscriptions],
            "downloads": [asdict(one) for one in self.downloads],
            "opened": self.opened,
            "open_now": self.open_now,
            "out_of_order": self.out_of_order,
            "worst_lag_ms": self.worst_lag_ms,
        }
