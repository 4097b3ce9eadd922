"""Real months replayed: the official archive's CSV rows, shifted by whole days, digit for digit."""

from __future__ import annotations

import gzip
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .candles import MINUTE_MS, Kline

DAY_MS = 86_400_000
_LEFT_MS = 8 * 3_600_000
"""By default at least this much of the newest month is still to come when the exchange starts."""


@dataclass(slots=True)
class Month:
    """One file: its text and where each minute's line begins. ``first`` is minutes since 1970, unshifted."""

    first: int
    text: bytes
    starts: array[int]
    """Offset of the line of minute ``first + i``; -1 where the file has none."""

    @property
    def end(self) -> int:
        """The minute after the last, unshifted."""
        return self.first + len(self.starts)

    def line(self, minute: int) -> bytes | None:
        """The CSV line of an unshifted minute."""
        place = minute - self.first
        if not 0 <= place < len(self.starts) or self.starts[place] < 0:
            return None
        start = self.starts[place]
        end = self.text.find(b"\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]


@dataclass(slots=True)
class Replay:
    """Rows of real months by symbol. ``shift_ms`` is what is added to every time of the files.

    A month that was over when the exchange started is there a second time, at its true dates; where a shifted
    month comes to lie over it, the true one stands.
    """

    shift_ms: int = 0
    months: dict[str, list[Month]] = field(default_factory=dict)
    true: dict[str, list[Month]] = field(default_factory=dict)
    """The months that are also served at their true dates."""

    def __contains__(self, symbol: str) -> bool:
        return symbol in self.months

    def kline(self, symbol: str, minute: int) -> Kline | None:
        """The row of a minute of the exchange, or None where no file has it."""
        for month in self.true.get(symbol, ()):
            if (line := month.line(minute)) is not None:
                return _shifted(line, 0)
        shift = self.shift_ms // MINUTE_MS
        for month in self.months.get(symbol, ()):
            if (line := month.line(minute - shift)) is not None:
                return _shifted(line, self.shift_ms)
        return None

    def bounds(self, symbol: str) -> tuple[int, int]:
        """First minute and the one after the last that any file of the symbol has, shifted."""
        shift = self.shift_ms // MINUTE_MS
        months = self.months[symbol]
        return (
            min(month.first for month in months) + shift,
            max(month.end for month in months) + shift,
        )

    def spans(self, symbol: str) -> list[tuple[int, int]]:
        """The shifted minutes [first, end) of each file of the symbol, in order."""
        shift = self.shift_ms // MINUTE_MS
        return sorted((month.first + shift, month.end + shift) for month in self.months[symbol])

    def all_spans(self, symbol: str) -> list[tuple[int, int]]:
        """The minutes [first, end) of the files, shifted and at their true dates, in order and without overlap."""
        true = sorted((month.first, month.end) for month in self.true.get(symbol, ()))
        left = self.spans(symbol)
        for first, end in true:
            left = [
                piece
                for start, stop in left
                for piece in ((start, min(stop, first)), (max(start, end), stop))
                if piece[0] < piece[1]
            ]
        return sorted(true + left)

    def remember(self, start_ms: int) -> None:
        """Choose the months that are served at their true dates too."""
        for symbol, months in self.months.items():
            self.true[symbol] = [month for month in months if month.end * MINUTE_MS <= start_ms]


def load(folder: Path, *, pattern: str, start_ms: int, offset_s: int | None) -> Replay:
    """Read the files of ``folder`` and choose the shift; see ``SandboxOptions.replay_offset_s``.

    File names begin with the symbol (``ALGOUSDT-1m-2026-02.csv.gz``). Raises ``ValueError`` when no file
    matches or one is not the archive's twelve columns.
    """
    replay = Replay()
    for path in sorted(folder.glob(pattern)):
        replay.months.setdefault(path.name.partition("-")[0], []).append(_read(path))
    if not replay.months:
        raise ValueError(f"{folder}: no file matches {pattern}")
    newest = max((month for months in replay.months.values() for month in months), key=lambda m: m.first)
    replay.shift_ms = _shift(newest, start_ms, offset_s)
    replay.remember(start_ms)
    return replay


def _shift(newest: Month, start_ms: int, offset_s: int | None) -> int:
    first = newest.first * MINUTE_MS
    if offset_s is not None:
        return round((start_ms - offset_s * 1000 - first) / DAY_MS) * DAY_MS
    end = newest.end * MINUTE_MS
    return -((end - start_ms - _LEFT_MS) // DAY_MS) * DAY_MS


def _read(path: Path) -> Month:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = list(_rows(path, text))
    first = min(minute for minute, _ in lines)
    starts = array("l", [-1]) * (max(minute for minute, _ in lines) - first + 1)
    for minute, start in lines:
        starts[minute - first] = start
    return Month(first, text, starts)


def _rows(path: Path, text: bytes) -> Iterable[tuple[int, int]]:
    """(minute, offset) of each data line; the header, which older files lack, is passed over."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        if text[start : start + 1].isdigit():
            if text.count(b",", start, end) != 11:
                raise ValueError(f"{path}: not twelve columns: {text[start:end][:80]!r}")
            yield int(text[start : text.index(b",", start)]) // MINUTE_MS, start
        start = end + 1


def _shifted(line: bytes, shift_ms: int) -> Kline:
    start, opening, high, low, closing, volume, end, quote, trades, taker, taker_quote, ignore = (
        line.decode().rstrip("\r").split(",")
    )
    return Kline(
        int(start) + shift_ms,
        opening,
        high,
        low,
        closing,
        volume,
        int(end) + shift_ms,
        quote,
        int(trades),
        taker,
        taker_quote,
        ignore,
    )
