"""How much is taken, how long it may take, and how often somebody may ask."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MOST_KEYS = 8_192


@dataclass(slots=True)
class Limits:
    """Bytes, wall seconds and numbers; the settings decide ``requests_per_minute`` and ``listeners``, also while the
    API runs. One object for all who keep to them."""

    connections: int = 64
    """Of HTTP; those of the live feed are ``listeners``."""
    listeners: int = 512
    url_bytes: int = 4_096
    header_bytes: int = 16_384
    headers: int = 100
    body_bytes: int = 65_536
    receipt_s: float = 10.0
    """From the first byte of a request to its last."""
    idle_s: float = 15.0
    """Between two requests of a connection, whatever it sends that is none."""
    linger_s: float = 2.0
    """For the other side to take what was written before the connection is closed."""
    handler_s: float = 30.0
    in_flight: int = 16
    """Requests that are worked at; the others wait for ``turn_s``."""
    turn_s: float = 2.0
    requests_per_minute: int = 6_000
    backlog_bytes: int = 1_048_576
    """What may wait for a listener before it is cut off."""
    listener_bytes_a_second: int = 16_384
    """What a listener may send, which has nothing to say but what it wants to hear."""
    sweep_s: float = 1.0
    """How often the deadlines are looked at."""

    memory_short: bool = False
    """Nobody is let in who might take more of it."""

    def become_short_of_memory(self, short: bool) -> None:
        self.memory_short = short

    @property
    def whole_s(self) -> float:
        """From the end of a request's head to the end of its answer, at most."""
        return self.receipt_s + self.turn_s + self.handler_s + self.linger_s


class Rates:
    """A token bucket for each key: ``per_minute`` on average, a sixth of it at once. It may change."""

    def __init__(self, per_minute: int | Callable[[], int]) -> None:
        self._per_minute = per_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Take one, and return 0; or the seconds (monotonic) after which there is one again."""
        per_minute = self._per_minute if isinstance(self._per_minute, int) else self._per_minute()
        per_second = per_minute / 60
        most = max(per_second * 10, 1.0)
        left, at = self._left.pop(key, (most, now))
        left = min(most, left + (now - at) * per_second)
        allowed = left >= 1
        self._left[key] = (left - 1 if allowed else left, now)
        while len(self._left) > _MOST_KEYS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) / per_second


def network_of(address: str) -> str:
    """Who shares a limit: one IPv4 address, or an IPv6 network of 64 bits, which is what one customer has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "other"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
