"""The task ``Levels``: support and resistance of one symbol, or of every symbol that trades."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from .jobs import Context, Kind, Parameters
from .level_types import SPAN_BARS, Market

_MINUTE_MS = 60_000
#: The bars that are kept of every symbol.
PERIODS_MS = {
    "5m": 5 * _MINUTE_MS,
    "15m": 15 * _MINUTE_MS,
    "1h": 60 * _MINUTE_MS,
    "4h": 240 * _MINUTE_MS,
    "1d": 1440 * _MINUTE_MS,
}


class LevelParameters(Parameters):
    """``symbol``: none means all that trade. ``until``: bars that closed later are left out; none means the newest.

    ``history``: of a symbol that was never analysed, levels are followed over so many bars before the newest.
    """

    symbol: str | None = Field(None, min_length=1, max_length=64)
    exchange: Literal["binance"] = "binance"
    market_type: Literal["future"] = "future"
    timeframe: Literal["5m", "15m", "1h", "4h", "1d"] = "1h"
    until: AwareDatetime | None = None
    history: int = Field(0, ge=0, le=SPAN_BARS)


def kind(source: str) -> Kind[LevelParameters]:
    """The kind of task; ``source`` is the exchange's word in the table ``bars`` (``BINANCE_WS_DB_EXCHANGE``)."""

    async def run(context: Context, asked: LevelParameters) -> Mapping[str, Any]:
        done: Mapping[str, Any] = await context.compute(
            "analysis.level_kernel:compute",
            market=market_of(asked.timeframe, source),
            symbols=None if asked.symbol is None else [asked.symbol],
            until_ms=None if asked.until is None else int(asked.until.timestamp() * 1000),
            history=asked.history,
        )
        await context.tell(
            f"{done['symbols']} symbols, {done['rows_begun']} rows of levels begun, {done['rows_ended']} ended"
        )
        return done

    return Kind(
        "Levels",
        LevelParameters,
        run,
        # All runs of one timeframe go one after the other: each follows what the one before has left.
        lambda asked: f"{asked.market_type}/{asked.timeframe}",
        about="support and resistance, of one symbol or of all, from the last 2000 bars",
    )


def market_of(timeframe: str, source: str) -> Market:
    """The series of collected futures: ``binance``, ``future``, with their bars under ``source``."""
    return Market("binance", "future", timeframe, PERIODS_MS[timeframe], source)
