"""Where candles go, and who may write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..model import Candle, Gap, WriteResult

Changed = Callable[[str, int], None]
"""Told the symbol and the time (UTC ms) of a row that was committed, or of the oldest of many. It must not wait."""


def nobody(symbol: str, at_ms: int) -> None:
    """Where nobody wants to hear of it."""


class CandleSink(Protocol):
    """Where candles go. One transaction a call; when ``write`` returns, the rows are in the database.

    ``open`` connects, refuses a schema with pending migrations (``ConfigError``) and takes the instance lock
    (``AlreadyRunning``); called again after a lost connection it makes a new one.
    ``write`` and ``quarantine`` raise ``Retryable`` (nothing is known to be stored: write the same rows
    again), ``BadData`` (a row in the batch is unusable: bisect) or ``Misconfigured`` (keep the rows, stop
    writing).
    Only one call runs at a time; the caller sees to it.
    """

    async def open(self) -> None: ...

    async def write(self, candles: Sequence[Candle], gaps: Sequence[Gap]) -> WriteResult: ...

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None: ...

    async def close(self) -> None: ...


class RepairSink(Protocol):
    """Where fetched rows of the past go, beside the live writer and without its lock.

    ``write`` is one transaction and may be repeated; it raises ``Retryable``, ``BadData`` (a row is unusable) or
    ``Misconfigured``. ``quarantine`` keeps a row that cannot be stored. Calls may run side by side.
    """

    async def write(self, candles: Sequence[Candle]) -> WriteResult: ...

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None: ...


class RoleLock(Protocol):
    """The instance lock of a role: one daemon for each (schema, exchange, role).

    ``open`` takes it (``AlreadyRunning`` names the holder) and does nothing while it is held; ``check`` raises
    ``Retryable`` when the session that held it is gone.
    """

    async def open(self) -> None: ...

    async def check(self) -> None: ...

    async def finish_run(self) -> None: ...

    async def close(self) -> None: ...
