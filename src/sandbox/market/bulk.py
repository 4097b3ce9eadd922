"""Many candles at once: the archive's rows of a range, the same strings as ``candles.candle`` gives one by one.

About a million rows a second, in numpy, which lets other threads run meanwhile; symbols that sleep are worked
out one by one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .candles import BLOCK, JITTER, LAYERS, MINUTE_MS, Traits, candle

Integers = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint64]
_PART = 16_384
"""Rows of one step: what they need stays within the processor's caches and well under 50 MB."""


def csv_rows(symbol: Traits, first: int, end: int) -> bytes:
    """The twelve columns of the minutes [first, end), one line each, every line ended.

    1767225600000,94.10,94.22,94.05,94.11,1204.5,1767225659999,113421.450,873,611.2,57547.102,0
    """
    if symbol.sleeper:
        return b"".join(
            (",".join(map(str, candle(symbol, minute))) + "\n").encode() for minute in range(first, end)
        )
    return b"".join(_part(symbol, start, min(start + _PART, end)) for start in range(first, end, _PART))


def _part(symbol: Traits, first: int, end: int) -> bytes:
    minutes = np.arange(first, end + 1, dtype=np.int64)
    words = _mix(minutes.astype(np.uint64) ^ np.uint64(symbol.key))
    price = _prices(symbol, minutes, words)
    opening, closing, bits = price[:-1], price[1:], words[:-1]

    def byte(shift: int, mask: int = 0xFF) -> Integers:
        return (bits >> np.uint64(shift) & np.uint64(mask)).astype(np.int64)

    reach = (symbol.level >> 9) + 2
    high = np.maximum(opening, closing) + (byte(0) * reach >> 8)
    low = np.minimum(opening, closing) - (byte(8) * reach >> 8)
    trades = symbol.least_trades + (byte(16, 0xFFF) * symbol.trades_span >> 12)
    volume = (trades * symbol.lot * (128 + byte(28)) >> 8) + trades
    taker = volume * byte(36) >> 8
    mean = (low + ((high - low) * byte(44) >> 8)) * symbol.tick
    start = minutes[:-1] * MINUTE_MS
    tick, places, steps = symbol.tick, symbol.price_decimals, symbol.quantity_decimals
    return lines(
        (start, 0),
        (opening * tick, places),
        (high * tick, places),
        (low * tick, places),
        (closing * tick, places),
        (volume, steps),
        (start + MINUTE_MS - 1, 0),
        (volume * mean, places + steps),
        (trades, 0),
        (taker, steps),
        (taker * mean, places + steps),
        (np.zeros_like(start), 0),
    )


def _prices(symbol: Traits, minutes: Integers, words: _Words) -> Integers:
    """``candles._block`` for all minutes: the same products and sums in the same order."""
    first = minutes // BLOCK * BLOCK
    base = np.ones(len(minutes))
    slope = np.zeros(len(minutes))
    for number, (period, amplitude) in enumerate(LAYERS):
        cells, place = np.unique(first // period, return_inverse=True)
        salt = np.uint64(symbol.key ^ (number + 1) << 56)
        edges = cells.astype(np.uint64)
        left = ((_unit(edges ^ salt) * 2 - 1) * amplitude)[place]
        right = ((_unit((edges + np.uint64(1)) ^ salt) * 2 - 1) * amplitude)[place]
        base = base + (left + (right - left) * ((first % period) / period))
        slope = slope + (right - left) / period
    jitter = JITTER / 2**11
    noise = (words >> np.uint64(53)).astype(np.int64) - 1024
    value = symbol.level * ((base + slope * (minutes - first)) + noise * jitter)
    return np.maximum(10, value.astype(np.int64))


def _mix(value: _Words) -> _Words:
    """``candles.mix``; numbers wrap at 64 bits by themselves."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _unit(value: _Words) -> npt.NDArray[np.float64]:
    return (_mix(value) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def lines(*columns: tuple[Integers, int]) -> bytes:
    """Columns of non-negative integers with their decimal places as CSV text, as ``candles.decimal`` writes them.

    Every row is laid out at full width, and the leading zeros are left out at the end.
    """
    count = len(columns[0][0])
    widths = [max(len(str(int(values.max(initial=0)))), places + 1) for values, places in columns]
    total = sum(width + 1 + (places > 0) for width, (_, places) in zip(widths, columns, strict=True))
    text = np.full((total, count), ord(","), dtype=np.uint8)
    shown = np.ones((total, count), dtype=np.bool_)
    place = 0
    for width, (values, places) in zip(widths, columns, strict=True):
        rest = values
        at = place + width + (places > 0) - 1
        for power in range(width):
            if places and power == places:
                text[at] = ord(".")
                at -= 1
            if power > places:
                shown[at] = rest > 0
            following = rest // 10
            text[at] = rest - following * 10 + ord("0")
            rest = following
            at -= 1
        place += width + 1 + (places > 0)
    text[total - 1] = ord("\n")
    return text.T[shown.T].tobytes()
