"""What the stream is started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ....config import network
from ....errors import ConfigError
from .. import venue

OWN_STREAMS = 2
"""Streams that every connection carries besides its symbols: the canary and the contract events."""


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """Settings of the live stream, checked whole. Raises ``ConfigError`` with every problem.

    Seconds are venue seconds unless the name ends in ``_wall``: those guard real input and output.
    """

    url: str = "wss://fstream.binance.com/market"
    """The routed address, without ``/stream``. ``ws://`` for loopback only."""
    proxy: str | None = field(default=None, repr=False)
    """``http://[user:password@]host:port``: everything but loopback goes through it, nothing round it."""
    ca_file: Path | None = None
    """Certificates to trust instead of the system's (for the sandbox). Verification is never off."""
    source: str = "binance_ws"
    """The label of the candles."""
    streams_per_connection: int = venue.STREAMS_PER_CONNECTION
    names_per_request: int = venue.NAMES_PER_REQUEST
    requests_per_second: float = venue.REQUESTS_PER_SECOND
    """Of one connection, a wall second: our own limit, half of what the venue allows."""
    idle_s: float = 10.0
    """A connection without a data frame for so long is dead: the canary comes every second."""
    idle_floor_wall: float = 3.0
    handshake_wall: float = 10.0
    """Deadline of name look-up, proxy, TLS and upgrade together."""
    write_wall: float = 10.0
    """Deadline for the kernel to take a request: a server that stops reading must not hold us."""
    close_wall: float = 1.0
    """How long a closing handshake may take."""
    backoff_base_s: float = 2.0
    backoff_cap_s: float = 60.0
    backoff_floor_wall: float = 0.05
    attempts: int = venue.ATTEMPTS_PER_WINDOW
    attempt_window_s: float = venue.ATTEMPT_WINDOW_S
    takeover_age_s: float = venue.TAKEOVER_AGE_S
    takeover_jitter_s: float = 1_800.0
    """A connection is replaced between ``takeover_age_s`` minus and plus this."""
    takeover_quiet_s: float = 60.0
    """A replacement whose symbols show no kline for so long takes over on its canary alone."""
    takeover_deadline_s: float = 300.0
    """A replacement that is not ready after so long is given up, and tried again later."""
    move_within_s: float = 600.0
    """A symbol resubscribed twice within this moves to another connection."""
    queue_frames: int = 4_000
    """Closed frames of one connection waiting to be parsed: twenty minutes of 200 symbols, 1.5 MB."""

    def __post_init__(self) -> None:
        problems = [*self._endpoint_problems(), *self._range_problems()]
        if problems:
            raise ConfigError(*problems)

    @property
    def is_loopback(self) -> bool:
        return network.is_loopback_url(self.url)

    @property
    def effective_proxy(self) -> str | None:
        """The proxy of this address; loopback has none."""
        return None if self.is_loopback else self.proxy

    @property
    def symbols_per_connection(self) -> int:
        return max(self.streams_per_connection - OWN_STREAMS, 1)

    def _endpoint_problems(self) -> list[str]:
        problems = []
        try:
            network.endpoint(self.url, secure="wss", plain="ws")
        except ValueError as error:
            problems.append(f"BINANCE_WS_URL: {error}")
        else:
            if not urlsplit(self.url).path.rstrip("/").endswith("/market"):
                problems.append("BINANCE_WS_URL: must end in /market, other paths deliver no candles")
        try:
            if self.proxy is not None:
                network.proxy_url(self.proxy)
        except ValueError as error:
            problems.append(f"HTTP_PROXY: {error}")
        if self.ca_file is not None and not self.ca_file.is_file():
            problems.append(f"{self.ca_file}: no such file of certificates")
        return problems

    def _range_problems(self) -> list[str]:
        least = {
            "streams_per_connection": 1,
            "names_per_request": 1,
            "requests_per_second": 0.1,
            "idle_s": 0.1,
            "handshake_wall": 0.1,
            "write_wall": 0.1,
            "backoff_base_s": 0.1,
            "backoff_floor_wall": 0.01,
            "attempts": 1,
            "attempt_window_s": 1,
            "takeover_age_s": 1,
            "queue_frames": 1,
        }
        wrong = [name for name, smallest in least.items() if getattr(self, name) < smallest]
        return [f"{name}: must be at least {least[name]}" for name in wrong]
