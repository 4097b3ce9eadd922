"""What is told to whoever listens live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..model import Candle


class Feed(Protocol):
    """Takes what has just become true and tells whoever listens, some moments later.

    Never waits, never raises, keeps a bounded number: who tells it must not notice. ``candles`` are committed;
    ``alert`` is one event as the API shows it, plain JSON values.
    """

    def candles(self, candles: Sequence[Candle]) -> None: ...

    def alert(self, event: Mapping[str, Any]) -> None: ...
