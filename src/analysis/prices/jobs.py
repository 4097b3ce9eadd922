"""``ProcessPrices``: price series of a market and a pool, per second, minute or hour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from ..arbitrage.terms import Exchange, Moment
from ..jobs import Context, Kind, Parameters

SECONDS = {"second": 1, "minute": 60, "hour": 3600}


class ProcessPricesParameters(Parameters):
    """[start_date, end_date) is widened to whole buckets, and cut to what is known. Market and pool may be left out
    where one is stored. Without ``overwrite`` what is there stays, and only what is missing is written."""

    start_date: Moment
    end_date: Moment
    aggregation_interval: Literal["second", "minute", "hour"] = "minute"
    overwrite: bool = False
    exchange: Exchange = "binance_spot"
    symbol: str | None = None
    chain: str | None = None
    pool: str | None = None

    @model_validator(mode="after")
    def _in_order(self) -> ProcessPricesParameters:
        if self.start_date >= self.end_date:
            raise ValueError("start_date: it must be before end_date")
        return self


async def _run(context: Context, parameters: ProcessPricesParameters) -> Mapping[str, Any]:
    found: Mapping[str, Any] = await context.compute(
        "analysis.prices.compute:compute",
        exchange=parameters.exchange,
        symbol=parameters.symbol,
        chain=parameters.chain,
        pool=parameters.pool,
        start_ms=round(parameters.start_date.timestamp() * 1000),
        end_ms=round(parameters.end_date.timestamp() * 1000),
        interval_seconds=SECONDS[parameters.aggregation_interval],
        overwrite=parameters.overwrite,
    )
    return found


KIND = Kind(
    name="ProcessPrices",
    parameters=ProcessPricesParameters,
    run=_run,
    subject=lambda parameters: parameters.aggregation_interval,
    deadline_s=3600.0,
    about="Price series of a market and a Uniswap pool, per second, minute or hour",
)
