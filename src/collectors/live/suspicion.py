"""Which silent subscriptions are really dead: fast for one symbol, patient when a whole connection was away."""

from __future__ import annotations

from collections.abc import Collection

_FEW = 3
_FEW_SHARE = 0.05
"""Up to this many, or this part of all, are single dead subscriptions; more is a connection that was away."""
_MOST_AT_ONCE = 50
"""Subscriptions renewed a minute at most: against a venue that is silent as a whole more would not help."""


class Suspicion:
    """Remembers whom the stream did not deliver although REST shows trades, and decides whom to subscribe anew.

    A frame may be 24 s late, so the verdict is asked for at close + 30 s. A few silent symbols are judged at once:
    if the other frames of that minute came, the way is open. If many are silent, a connection was away at the
    close and its missed frames never come; only who is silent in the next minute too is dead. A symbol is not
    judged by a minute that was already open when it was subscribed. Pure: every time is an argument.
    """

    def __init__(self) -> None:
        self._since_ms: dict[str, int] = {}
        self._renewed_ms: dict[str, int] = {}
        self._before: frozenset[str] = frozenset()
        self._before_ms = 0

    def follow(self, symbols: Collection[str], now_ms: int) -> None:
        """State the subscribed symbols; new ones are judged from the next whole minute on."""
        self._since_ms = {symbol: self._since_ms.get(symbol, now_ms) for symbol in symbols}
        self._renewed_ms = {symbol: at for symbol, at in self._renewed_ms.items() if symbol in self._since_ms}

    def judge(self, open_ms: int, silent: Collection[str], expected: int, now_ms: int) -> list[str]:
        """The symbols to subscribe anew after this minute, those least recently renewed first."""
        silent = frozenset(symbol for symbol in silent if self._since_ms.get(symbol, open_ms + 1) <= open_ms)
        consecutive = open_ms - self._before_ms <= 60_000
        few = len(silent) <= max(_FEW, expected * _FEW_SHARE)
        dead = silent if few else silent & self._before if consecutive else frozenset()
        self._before, self._before_ms = silent, open_ms
        chosen = sorted(dead, key=lambda symbol: (self._renewed_ms.get(symbol, 0), symbol))[:_MOST_AT_ONCE]
        for symbol in chosen:
            self._renewed_ms[symbol] = self._since_ms[symbol] = now_ms
        return chosen
