"""The tasks that make bars: those that are kept of every symbol, and others on demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from .jobs import Context, Kind, Parameters


class KeepBars(Parameters):
    """``days``: how many days of symbols are made anew in one run, beside what is new; the rest waits."""

    days: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000


def kept_bars(exchange: str) -> Kind[KeepBars]:
    """5m, 15m, 1h, 4h and 1d of every symbol of ``exchange``, as far as its candles are closed. For each 5m close.

    Its result: {exchange, symbols, from_ms, closed_ms, closed_all_ms, bars, days, days_left}.
    """

    async def run(context: Context, asked: KeepBars) -> Mapping[str, Any]:
        made: Mapping[str, Any] = await context.compute(
            "analysis.bar_keeping:keep", exchange=exchange, days=asked.days
        )
        return made

    return Kind(
        name="Bars",
        parameters=KeepBars,
        run=run,
        subject=lambda asked: exchange,
        about="Make the bars of 5m, 15m, 1h, 4h and 1d that are over, and those whose candles changed.",
    )
