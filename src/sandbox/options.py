"""What a sandbox exchange is started with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .market.past import SHORTEST_DAYS

WEIGHT_PER_MINUTE = 2400
"""The real host's REQUEST_WEIGHT limit per IP and UTC minute (GET /fapi/v1/exchangeInfo, rateLimits)."""

STREAMS_PER_CONNECTION = 1024
"""Measured on the real host: the 1025th stream is refused and the connection closed."""

_MONTH = re.compile(r"\d{4}-\d{2}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

SLEEPER_SHARE = 5 / 740
"""Share of symbols that sleep for hours, so that about two of 740 are asleep at any moment."""


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """Everything that decides what the stand-in exchange serves; two equal options give equal candles.

    Raises ``ValueError`` naming the field when a value makes no sense.
    """

    host: str = "127.0.0.1"
    port: int = 0
    """0 takes a free port."""
    seed: int = 1
    symbols: int = 740
    """USDT perpetuals that trade, besides those that ``data_dir`` adds; others that a client must filter out
    come on top. Ignored when ``exchange_info`` is given."""
    speed: float = 1.0
    """Exchange seconds per wall second."""
    start_ms: int | None = None
    """Exchange time at the anchor, UTC milliseconds; None is this computer's date."""
    anchor: float | None = None
    """The ``time.monotonic()`` reading at which the exchange shows ``start_ms``; None is the moment of
    construction. CLOCK_MONOTONIC is one for the whole machine, so two processes can share it."""
    data_dir: Path | None = None
    """Folder of official 1m archive files (``SYMBOL-1m-YYYY-MM.csv[.gz]``) to replay."""
    data_pattern: str = "*.csv*"
    """Which files of ``data_dir``, as a glob."""
    replay_offset_s: int | None = None
    """How far into the newest month of the files the exchange starts, give or take half a day (the shift is
    whole days); None leaves between 8 and 32 hours of it to come."""
    exchange_info: Path | None = None
    """A real ``/fapi/v1/exchangeInfo`` answer, ``.json`` or ``.json.gz``, as the universe."""
    tls: bool = False
    """Serve https:// and wss:// with a self-signed certificate (``Sandbox.ca_file``)."""
    sleeper_share: float = SLEEPER_SHARE
    history_days: int = 40
    """How many days before the start's day the generated market begins: nobody was listed before, and some were
    listed since. Symbols of ``exchange_info`` and ``data_dir`` have their own times."""
    delisted: int = 0
    """So many more were delisted inside the history: exchangeInfo lacks them, REST and the archive know them."""
    relisted: int = 0
    """So many of the symbols were delisted inside the history and listed again; the archive keeps the earlier
    contract under ``<SYMBOL>SETTLED``."""
    publish_after_s: int | None = None
    """Exchange seconds from the end of its day or month to the archive file; None is the real host's delay."""
    header_from: str = "2022-06"
    """Archive files of months and days before it have no header line."""
    start_labels_from: str = "2026-06-25"
    """Metrics files of days before it are labelled with the ends of their periods, from it on with the starts."""
    weight_limit: int = WEIGHT_PER_MINUTE
    stream_limit: int = STREAMS_PER_CONNECTION

    def __post_init__(self) -> None:
        checks = {
            "port": 0 <= self.port <= 65_535,
            "symbols": 0 <= self.symbols <= 5_000,
            "speed": 0 < self.speed <= 1_000,
            "sleeper_share": 0 <= self.sleeper_share <= 1,
            "history_days": 0 <= self.history_days <= 5_000,
            "delisted": self.delisted >= 0 and (not self.delisted or self.history_days >= SHORTEST_DAYS),
            "relisted": 0 <= self.relisted <= self.symbols
            and (not self.relisted or self.history_days >= SHORTEST_DAYS),
            "publish_after_s": self.publish_after_s is None or self.publish_after_s >= 0,
            "header_from": _MONTH.fullmatch(self.header_from) is not None,
            "start_labels_from": _DAY.fullmatch(self.start_labels_from) is not None,
            "weight_limit": self.weight_limit > 0,
            "stream_limit": self.stream_limit > 0,
        }
        if wrong := [f"{name}={getattr(self, name)}" for name, good in checks.items() if not good]:
            raise ValueError(f"sandbox options out of range: {', '.join(wrong)}")
