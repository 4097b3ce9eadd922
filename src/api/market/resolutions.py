"""Words of TradingView's UDF: resolutions, prices, and what a symbol is there; pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

EXCHANGE: Final = "BINANCE"

Resolution = Literal[
    "1", "3", "5", "15", "30", "60", "120", "240", "360", "480", "720", "1D", "3D", "1W", "D", "W"
]

_INTERVALS: Final = {
    "1": "1m",
    "3": "3m",
    "5": "5m",
    "15": "15m",
    "30": "30m",
    "60": "1h",
    "120": "2h",
    "240": "4h",
    "360": "6h",
    "480": "8h",
    "720": "12h",
    "1D": "1d",
    "3D": "3d",
    "1W": "1w",
}
RESOLUTIONS: Final = tuple(_INTERVALS)
_INTRADAY: Final = [name for name in RESOLUTIONS if name.isdecimal()]
_UNKNOWN_TICK: Final = (1, 10_000)
_MOST_DECIMALS: Final = 16


def interval_of(resolution: Resolution) -> str:
    """Our name of a resolution; ``D`` and ``W`` are ``1D`` and ``1W``."""
    return _INTERVALS[f"1{resolution}" if resolution in ("D", "W") else resolution]


def symbol_of(name: str) -> str:
    """The symbol in a name that may carry the exchange, ``BINANCE:BTCUSDT``."""
    return name.removeprefix(f"{EXCHANGE}:")


def price_steps(tick_size: str) -> tuple[int, int]:
    """(minmov, pricescale): the price moves by minmov / pricescale, as the venue's tick size ``0.0500`` says."""
    try:
        tick = Decimal(tick_size)
    except InvalidOperation:
        return _UNKNOWN_TICK
    if not tick.is_finite() or tick <= 0:
        return _UNKNOWN_TICK
    _, digits, exponent = tick.normalize().as_tuple()
    decimals = -exponent if isinstance(exponent, int) else 0
    if decimals > _MOST_DECIMALS:
        return _UNKNOWN_TICK
    whole = int("".join(map(str, digits)))
    return (whole, 10**decimals) if decimals >= 0 else (whole * 10**-decimals, 1)


def symbol_info(symbol: str, base: str, quote: str, tick_size: str) -> dict[str, Any]:
    """What UDF answers to ``/symbols``: a market that never closes, with bars of every resolution."""
    minmov, pricescale = price_steps(tick_size)
    return {
        "name": symbol,
        "full_name": f"{EXCHANGE}:{symbol}",
        "ticker": symbol,
        "description": f"{base} / {quote} perpetual" if base else symbol,
        "type": "crypto",
        "exchange": EXCHANGE,
        "listed_exchange": EXCHANGE,
        "exchange-listed": EXCHANGE,
        "exchange-traded": EXCHANGE,
        "timezone": "Etc/UTC",
        "session": "24x7",
        "session-regular": "24x7",
        "format": "price",
        "minmov": minmov,
        "minmovement": minmov,
        "minmov2": 0,
        "pricescale": pricescale,
        "pointvalue": 1,
        "has_intraday": True,
        "has_daily": True,
        "has_weekly_and_monthly": False,
        "intraday_multipliers": _INTRADAY,
        "daily_multipliers": ["1", "3"],
        "supported_resolutions": list(RESOLUTIONS),
        "volume_precision": 8,
        "data_status": "streaming",
        "currency_code": quote,
    }
