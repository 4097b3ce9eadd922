"""The generated market: every candle is a pure function of (seed, symbol, minute), in constant time.

No walk from a beginning: prices are layered noise whose lattice points are hashes, so any test can say what
must be in the database for any minute. ``minute`` is always minutes since 1970-01-01 UTC. All arithmetic is
on integers and on float products that IEEE 754 fixes, so every machine and process gives the same digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

MINUTE_MS = 60_000

_MASK = (1 << 64) - 1
BLOCK = 64
"""Minutes whose prices are worked out together."""
LAYERS = ((4096, 0.20), (512, 0.05), (64, 0.015))
"""Noise layers: lattice period in minutes (multiples of the block), and amplitude as a share of the price."""
JITTER = 0.002
"""Amplitude of the layer whose period is one minute."""
_WINDOW = 240
"""A sleeping symbol decides every four hours whether it sleeps on."""
_ASLEEP = 0.4


class Kline(NamedTuple):
    """One candle in the venue's twelve columns: times in UTC milliseconds, prices and volumes as its strings."""

    open_time: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    close_time: int
    quote_volume: str
    trade_count: int
    taker_buy_volume: str
    taker_buy_quote_volume: str
    ignore: str = "0"


@dataclass(frozen=True, slots=True)
class Traits:
    """What distinguishes one symbol; a pure function of seed, name and its exchangeInfo filters."""

    key: int
    level: int
    """Middle of the price, in ticks."""
    price_decimals: int
    tick: int
    """One tick in units of the last price decimal."""
    quantity_decimals: int
    least_trades: int
    trades_span: int
    lot: int
    """Mean trade, in units of the last quantity decimal."""
    sleeper: bool


def mix(value: int) -> int:
    """The splitmix64 finaliser: 64 bits that look random, from any integer."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def unit(value: int) -> float:
    """The hash of ``value`` as a number in [0, 1)."""
    return (mix(value) >> 11) * 2.0**-53


def symbol_key(seed: int, symbol: str) -> int:
    """64 bits that stand for (seed, symbol); independent of PYTHONHASHSEED."""
    return int.from_bytes(blake2b(f"{seed}/{symbol}".encode(), digest_size=8).digest(), "big")


def traits(seed: int, symbol: str, *, tick_size: str, step_size: str, sleeper_share: float) -> Traits:
    """The traits of a symbol whose PRICE_FILTER and LOT_SIZE say ``tick_size`` and ``step_size``.

    One symbol in twelve is thin: fewer than 60 trades a minute, so not every quarter second changes its
    candle. The limits keep every number within 15 significant digits.
    """
    key = symbol_key(seed, symbol)
    price_decimals, tick = _decimals(tick_size)
    quantity_decimals, _ = _decimals(step_size)
    thin = mix(key ^ 0x71) % 12 == 0
    return Traits(
        key=key,
        level=(3_000 + mix(key ^ 0x72) % 3_000) << (mix(key ^ 0x73) % 8),
        price_decimals=price_decimals,
        tick=min(tick, 100),
        quantity_decimals=quantity_decimals,
        least_trades=1 if thin else 240 + mix(key ^ 0x74) % 800,
        trades_span=59 if thin else 200 + mix(key ^ 0x75) % 2_000,
        lot=1 + mix(key ^ 0x76) % 200,
        sleeper=unit(key ^ 0x8D) < sleeper_share,
    )


def _decimals(size: str) -> tuple[int, int]:
    """``"0.10"`` is two decimals and ten units of the last one."""
    whole, _, fraction = size.partition(".")
    return len(fraction), max(int(whole + fraction), 1)


def asleep(symbol: Traits, minute: int) -> bool:
    """True while nothing trades: about 40 % of a sleeper's time, in stretches of hours."""
    return symbol.sleeper and unit(symbol.key ^ 0xA51EEF ^ (minute // _WINDOW << 20)) < _ASLEEP


def delay(symbol: Traits, minute: int) -> float:
    """Exchange seconds from the minute's end to its closed frame and REST row.

    U(0.05, 1) in 90 % of the minutes, U(1, 2.5) in 9.5 %, U(2.5, 24) in 0.5 %.
    """
    bits = mix(symbol.key ^ 0xDE1A1 ^ (minute << 16))
    kind, place = (bits & 0xFFFFFFFF) * 2.0**-32, (bits >> 32) * 2.0**-32
    if kind < 0.90:
        return 0.05 + 0.95 * place
    if kind < 0.995:
        return 1.0 + 1.5 * place
    return 2.5 + 21.5 * place


def candle(symbol: Traits, minute: int) -> Kline:
    """The final candle of a minute. A minute's open is the close of the minute before it."""
    if symbol.sleeper and asleep(symbol, minute):
        return _flat(symbol, minute)
    return _candle(symbol, minute, _opening(symbol, minute), _price(symbol, minute + 1))


def price(symbol: Traits, minute: int) -> int:
    """The price at a minute's start, in units of the last price decimal: what its candle opens with."""
    return _opening(symbol, minute) * symbol.tick


def _opening(symbol: Traits, minute: int) -> int:
    return _boundary(symbol, minute) if symbol.sleeper else _price(symbol, minute)


def _candle(symbol: Traits, minute: int, opening: int, closing: int) -> Kline:
    bits = _block(symbol.key, symbol.level, minute // BLOCK)[1][minute % BLOCK]
    reach = (symbol.level >> 9) + 2
    high = max(opening, closing) + ((bits & 0xFF) * reach >> 8)
    low = min(opening, closing) - ((bits >> 8 & 0xFF) * reach >> 8)
    trades = symbol.least_trades + ((bits >> 16 & 0xFFF) * symbol.trades_span >> 12)
    volume = (trades * symbol.lot * (128 + (bits >> 28 & 0xFF)) >> 8) + trades
    taker = volume * (bits >> 36 & 0xFF) >> 8
    mean = (low + ((high - low) * (bits >> 44 & 0xFF) >> 8)) * symbol.tick
    tick, places, steps = symbol.tick, symbol.price_decimals, symbol.quantity_decimals
    open_time = minute * MINUTE_MS
    return Kline(
        open_time,
        decimal(opening * tick, places),
        decimal(high * tick, places),
        decimal(low * tick, places),
        decimal(closing * tick, places),
        decimal(volume, steps),
        open_time + MINUTE_MS - 1,
        decimal(volume * mean, places + steps),
        trades,
        decimal(taker, steps),
        decimal(taker * mean, places + steps),
    )


def _flat(symbol: Traits, minute: int) -> Kline:
    price = decimal(_boundary(symbol, minute) * symbol.tick, symbol.price_decimals)
    nothing = decimal(0, symbol.quantity_decimals)
    no_quote = decimal(0, symbol.price_decimals + symbol.quantity_decimals)
    start = minute * MINUTE_MS
    end = start + MINUTE_MS - 1
    return Kline(start, price, price, price, price, nothing, end, no_quote, 0, nothing, no_quote)


def _boundary(symbol: Traits, minute: int) -> int:
    """The last price before ``minute``: while nothing trades it stands still."""
    while asleep(symbol, minute - 1):
        minute = (minute - 1) // _WINDOW * _WINDOW
    return _price(symbol, minute)


def _price(symbol: Traits, minute: int) -> int:
    return _block(symbol.key, symbol.level, minute // BLOCK)[0][minute % BLOCK]


@lru_cache(maxsize=3072)
def _block(key: int, level: int, block: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Prices in ticks at the starts of the block's minutes, and 64 random bits for each minute."""
    first = block * BLOCK
    base, slope = 1.0, 0.0
    for number, (period, amplitude) in enumerate(LAYERS):
        cell, salt = first // period, key ^ (number + 1) << 56
        left = (unit(salt ^ cell) * 2 - 1) * amplitude
        right = (unit(salt ^ (cell + 1)) * 2 - 1) * amplitude
        base += left + (right - left) * ((first % period) / period)
        slope += (right - left) / period
    bits = tuple([mix(key ^ minute) for minute in range(first, first + BLOCK)])
    jitter = JITTER / 2**11
    prices = [
        max(10, int(level * (base + slope * place + ((random >> 53) - 1024) * jitter)))
        for place, random in enumerate(bits)
    ]
    return tuple(prices), bits


def decimal(value: int, places: int) -> str:
    """A non-negative integer in units of the last place, as the venue writes it: ``decimal(1050, 2)`` is 10.50."""
    if not places:
        return str(value)
    digits = str(value)
    if len(digits) <= places:
        digits = digits.rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}"
