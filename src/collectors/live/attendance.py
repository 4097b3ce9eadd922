"""Who has its candle for which of the last minutes, and by which way it came."""

from __future__ import annotations

from collections.abc import Collection, Iterable, MutableMapping
from typing import Any

from ...model import MINUTE_MS, Candle
from ...ports import Clock

_KEEP_MINUTES = 5
"""A late frame comes within half a minute; the rest is slack for a venue that is out of order."""

_DOUBTFUL_MS = 45_000
"""A frame that comes later than this after its close may name the wrong minute; REST is asked as well."""


class Attendance:
    """The register of the roll call: presence by minute, for a few minutes, and the newest minute by symbol."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._live: dict[int, set[str]] = {}
        self._fetched: dict[int, dict[str, Candle]] = {}
        self._quiet: dict[int, set[str]] = {}
        self._newest: dict[str, int] = {}
        self._doubtful: dict[str, int] = {}
        self._live_rows = 0

    @property
    def live_rows(self) -> int:
        """Candles the stream has delivered so far; grows only by data, never by a mere connection."""
        return self._live_rows

    def mark_live(self, candle: Candle) -> None:
        """Note a candle that the stream delivered."""
        self._live_rows += 1
        if self._is_recent(candle):
            self._live.setdefault(candle.open_ms, set()).add(candle.symbol)
        if candle.close_ms < self._clock.now_ms() - _DOUBTFUL_MS:
            earliest = self._doubtful.get(candle.symbol, candle.open_ms)
            self._doubtful[candle.symbol] = min(candle.open_ms, earliest)
        self._note(candle)

    def mark_fetched(self, candle: Candle) -> None:
        """Note a candle that REST delivered."""
        if self._is_recent(candle):
            self._fetched.setdefault(candle.open_ms, {})[candle.symbol] = candle
        self._note(candle)

    def take_doubtful(self) -> dict[str, int]:
        """Per symbol the earliest minute whose frame came so late that REST should be asked; told once."""
        doubtful, self._doubtful = self._doubtful, {}
        return doubtful

    def missing(self, open_ms: int, expected: Iterable[str]) -> list[str]:
        """Those of ``expected`` whose candle came by neither way."""
        live, fetched = self._live.get(open_ms, ()), self._fetched.get(open_ms, ())
        return [symbol for symbol in expected if symbol not in live and symbol not in fetched]

    def unheard(self, open_ms: int) -> dict[str, Candle]:
        """The candles that only REST delivered."""
        live = self._live.get(open_ms, ())
        return {symbol: row for symbol, row in self._fetched.get(open_ms, {}).items() if symbol not in live}

    def heard(self, open_ms: int) -> int:
        """How many symbols the stream delivered."""
        return len(self._live.get(open_ms, ()))

    def quiet(self, open_ms: int) -> int:
        """How many symbols did not trade in that minute, by what came so far."""
        return len(self._quiet.get(open_ms, ()))

    def stale(self, symbols: Collection[str], older_than_ms: int) -> int:
        """How many of ``symbols`` have no candle that closed after ``older_than_ms``."""
        return sum(self._newest.get(symbol, 0) + MINUTE_MS <= older_than_ms for symbol in symbols)

    def forget(self, before_ms: int) -> None:
        """Drop all minutes that opened before ``before_ms`` less the few that are kept."""
        oldest = before_ms - _KEEP_MINUTES * MINUTE_MS
        for register in (self._live, self._fetched, self._quiet):
            _cut(register, oldest)

    def forget_symbols(self, keep: Collection[str]) -> None:
        """Drop the newest minute of symbols that are not collected any more."""
        for symbol in [symbol for symbol in self._newest if symbol not in keep]:
            del self._newest[symbol]

    def _note(self, candle: Candle) -> None:
        if candle.trade_count == 0 and self._is_recent(candle):
            self._quiet.setdefault(candle.open_ms, set()).add(candle.symbol)
        if candle.open_ms > self._newest.get(candle.symbol, 0):
            self._newest[candle.symbol] = candle.open_ms

    def _is_recent(self, candle: Candle) -> bool:
        # Repairs bring whole days; only what a roll call may still ask about is kept.
        return candle.open_ms > self._clock.now_ms() - (_KEEP_MINUTES + 1) * MINUTE_MS


def _cut(register: MutableMapping[int, Any], oldest_ms: int) -> None:
    for open_ms in [minute for minute in register if minute < oldest_ms]:
        del register[open_ms]
