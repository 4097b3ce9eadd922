"""Futures metrics and funding: every value is a pure function of (seed, symbol, time), like the candles.

A slot is a period of five minutes; ``slot`` counts them since 1970 by their start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .candles import MINUTE_MS, Traits, decimal, mix, price, unit
from .universe import Period

SLOT_MS = 300_000
HOUR_MS = 3_600_000
_UNITS = 10_000
"""Ratios have four decimals."""
_MINUTES = SLOT_MS // MINUTE_MS


class Metric(NamedTuple):
    """One period of five minutes, as REST writes its values. Stocks are those at its end."""

    end_ms: int
    open_interest: str
    open_interest_value: str
    top_accounts: str
    top_positions: str
    accounts: str
    taker: str
    buy_volume: str
    sell_volume: str


class Funding(NamedTuple):
    """One settlement: ``time_ms`` is a few milliseconds after the hour."""

    time_ms: int
    interval_hours: int
    rate: str
    mark_price: str


def metric(symbol: Traits, slot: int) -> Metric:
    """The metrics of the period that begins at ``slot``."""
    bits = mix(symbol.key ^ 0x3E7 ^ slot << 12)
    contracts = (50_000 + mix(symbol.key ^ 0x9A) % 100_000) * (900_000 + (bits & 0x3FFFF) % 200_000) // 1000
    mark = price(symbol, (slot + 1) * _MINUTES)
    buy = 1_000 + mix(bits ^ 1) % 20_000_000
    sell = 1_000 + mix(bits ^ 2) % 20_000_000
    return Metric(
        (slot + 1) * SLOT_MS,
        decimal(contracts * 10**5, 8),
        _widened(contracts * mark, 3 + symbol.price_decimals),
        decimal(_ratio(symbol.key, bits, 1), 4),
        decimal(_ratio(symbol.key, bits, 2), 4),
        decimal(_ratio(symbol.key, bits, 3), 4),
        decimal((buy * _UNITS + sell // 2) // sell, 4),
        decimal(buy * 10, 4),
        decimal(sell * 10, 4),
    )


def shares(ratio: str) -> tuple[str, str]:
    """Long and short share of a long/short ratio: 2.0665 is 0.6739 and 0.3261."""
    value = int(ratio.replace(".", ""))
    long = (value * _UNITS + (_UNITS + value) // 2) // (_UNITS + value)
    return decimal(long, 4), decimal(_UNITS - long, 4)


def available_ms(symbol: Traits, slot: int) -> int:
    """When REST has the period: 5 to 60 s after its end."""
    return (slot + 1) * SLOT_MS + 5_000 + int(unit(symbol.key ^ 0xA7 ^ slot << 12) * 55_000)


def slots(periods: Sequence[Period], first_ms: int, end_ms: int) -> Iterator[int]:
    """The whole slots of trading that begin in [first_ms, end_ms), in order."""
    for period in sorted(periods, key=lambda one: one.first):
        start = max(first_ms, period.onboard_ms, period.first * MINUTE_MS)
        stop = -(-end_ms // SLOT_MS)
        if period.end is not None:
            stop = min(stop, period.end * MINUTE_MS // SLOT_MS)
        yield from range(-(-start // SLOT_MS), stop)


def interval_hours(symbol: Traits) -> int:
    """Hours between its settlements: 8 for most, 4 or 1 for others."""
    return (8, 8, 8, 4, 4, 1)[mix(symbol.key ^ 0xF0) % 6]


def funding(symbol: Traits, hour: int) -> Funding:
    """The settlement at an hour since 1970, if there is one then."""
    bits = mix(symbol.key ^ 0xF1 ^ hour << 12)
    rate = bits % 60_000 - 20_000
    return Funding(
        hour * HOUR_MS + (bits >> 32) % 16,
        interval_hours(symbol),
        ("-" if rate < 0 else "") + decimal(abs(rate), 8),
        _widened(price(symbol, hour * 60), symbol.price_decimals),
    )


def settlements(symbol: Traits, periods: Sequence[Period], first_ms: int, end_ms: int) -> list[Funding]:
    """The settlements in [first_ms, end_ms) of what was trading just before, in order of time."""
    step = interval_hours(symbol)
    hours = range(first_ms // HOUR_MS // step * step, -(-end_ms // HOUR_MS), step)
    found = (funding(symbol, hour) for hour in hours if any(period.has(hour * 60 - 1) for period in periods))
    return [one for one in found if first_ms <= one.time_ms < end_ms]


def trimmed(number: str) -> str:
    """As the archive writes it: 78890.46400000 is 78890.464."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def _ratio(key: int, bits: int, kind: int) -> int:
    middle = 6_000 + mix(key ^ kind << 8) % 20_000
    return middle * (9_500 + mix(bits ^ kind << 4) % 1_000) // _UNITS


def _widened(value: int, places: int) -> str:
    return decimal(value * 10 ** max(0, 8 - places), max(8, places))
