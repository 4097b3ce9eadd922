"""Symbols that got no answer, and when they may be asked for again."""

from __future__ import annotations

from collections.abc import Iterable


class Pauses:
    """Holds symbols back until a moment, in venue seconds; at most one entry a symbol. Pure."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._until

    def hold(self, symbols: Iterable[str], until: float) -> None:
        """Hold these back; all of one call end together, so that one scan finds what they all owe."""
        for symbol in symbols:
            self._until[symbol] = until

    def release(self, now: float) -> bool:
        """Let go of those whose time has come; true if there were any."""
        before = len(self._until)
        self._until = {symbol: until for symbol, until in self._until.items() if until > now}
        return len(self._until) < before

    def next_release(self) -> float | None:
        """When the first is let go, ``None`` when none is held."""
        return min(self._until.values(), default=None)
