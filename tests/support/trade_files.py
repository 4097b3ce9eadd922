"""Trade files as the archive has them, made by hand."""

from __future__ import annotations

from collections.abc import Iterable

from src.model import Trade

HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
FIRST_MS = 1_769_904_000_000
"""2026-02-01 00:00 UTC."""


def sample(number: int, symbol: str = "BTCUSDT") -> Trade:
    """Trade ``number`` of the day: one every 700 ms."""
    return Trade(
        symbol,
        5000 + number,
        FIRST_MS + 700 * number,
        43_000.1 + number % 13,
        (1 + number % 9) / 1000,
        number % 3 == 0,
    )


def futures_row(trade: Trade) -> str:
    flag = str(trade.is_buyer_maker).lower()
    return f"{trade.trade_id},{trade.price},{trade.quantity},1,2,{trade.ts_ms},{flag}"


def spot_row(trade: Trade) -> str:
    """As since 2025: microseconds, Python's words for flags, and a column more."""
    return (
        f"{trade.trade_id},{trade.price:.8f},{trade.quantity:.8f},1,2,{trade.ts_ms}987,"
        f"{trade.is_buyer_maker},True"
    )


def futures_text(trades: Iterable[Trade], *, header: bool = True) -> bytes:
    return ((HEADER if header else "") + "".join(f"{futures_row(trade)}\n" for trade in trades)).encode()


def spot_text(trades: Iterable[Trade]) -> bytes:
    return "".join(f"{spot_row(trade)}\n" for trade in trades).encode()
