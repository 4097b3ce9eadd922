"""``ProcessPrices``: price series of a market and a pool, per second, minute or hour."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, model_validator

from ..arbitrage.terms import Exchange, Moment
from ..jobs import Context, Kind, Parameters
from ..overrides import Overrides

SECONDS = {"second": 1, "minute": 60, "hour": 3600}


class ProcessPricesParameters(Parameters):
    """[start_date, end_date) is widened to whole buckets, and cut to what is known. Market and pool may be left out
    where one is stored. Without ``overwrite`` what is there stays, and only what is missing is written.

    Without ``start_date`` each side goes on where its series ends, or begins where it is known from; without
    ``end_date`` it goes up to what is known. So a schedule needs neither.
    """

    start_date: Moment | None = None
    """From when on: 2026-11-01. Left empty, each side goes on where its series ends."""
    end_date: Moment | None = None
    """Until when, not included. Left empty, up to what is known."""
    aggregation_interval: Literal["second", "minute", "hour"] = "minute"
    """How long one price stands for."""
    overwrite: bool = False
    """Write again what is there, and not only what is missing."""
    exchange: Exchange = "binance_spot"
    """Whose trades are the one side."""
    symbol: str | None = None
    """Of the exchange, ETHUSDT for example; may be left empty where one is stored."""
    chain: str | None = None
    """Of the pool; may be left empty where one is stored."""
    pool: str | None = None
    """The pool's contract, the other side; may be left empty where one is stored."""

    @model_validator(mode="after")
    def _in_order(self) -> ProcessPricesParameters:
        if self.start_date is not None and self.end_date is not None and self.start_date >= self.end_date:
            raise ValueError("start_date: it must be before end_date")
        if self.overwrite and self.start_date is None:
            raise ValueError("overwrite: it needs start_date, for without it only what is new is written")
        return self


class TunedPricesParameters(ProcessPricesParameters):
    """What is taken where ``GRPC_DB_OVERRIDES`` is on."""

    db_overrides: Overrides = Field(default_factory=dict)
    """Settings of the task's session in the database: statement_timeout, lock_timeout, work_mem,
    max_parallel_workers_per_gather."""


async def _run(context: Context, parameters: ProcessPricesParameters) -> Mapping[str, Any]:
    tuned = parameters.db_overrides if isinstance(parameters, TunedPricesParameters) else {}
    found: Mapping[str, Any] = await context.compute(
        "analysis.prices.compute:compute",
        exchange=parameters.exchange,
        symbol=parameters.symbol,
        chain=parameters.chain,
        pool=parameters.pool,
        start_ms=_ms(parameters.start_date),
        end_ms=_ms(parameters.end_date),
        interval_seconds=SECONDS[parameters.aggregation_interval],
        overwrite=parameters.overwrite,
        session=dict(tuned),
    )
    return found


def _ms(when: datetime | None) -> int | None:
    return None if when is None else round(when.timestamp() * 1000)


def kind(*, takes_overrides: bool) -> Kind[Any]:
    """``takes_overrides``: ``GRPC_DB_OVERRIDES``, of whoever asks and of whoever works."""
    return Kind(
        name="ProcessPrices",
        parameters=TunedPricesParameters if takes_overrides else ProcessPricesParameters,
        run=_run,
        subject=lambda parameters: str(parameters.aggregation_interval),
        deadline_s=3600.0,
        about="Price series of a market and a Uniswap pool, per second, minute or hour",
    )


KIND = kind(takes_overrides=False)
