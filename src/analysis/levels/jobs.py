"""The task ``Levels``: support and resistance of one symbol, or of every symbol that trades."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from ...model.bars import VenueBar
from ...ports.bars import BarSource
from ..jobs import Context, Kind, Parameters
from .terms import SPAN_BARS, Market

_MINUTE_MS = 60_000
#: The bars that are kept of every symbol.
PERIODS_MS = {
    "5m": 5 * _MINUTE_MS,
    "15m": 15 * _MINUTE_MS,
    "1h": 60 * _MINUTE_MS,
    "4h": 240 * _MINUTE_MS,
    "1d": 1440 * _MINUTE_MS,
}


#: Where bars of spot are kept, as trades of spot are.
SPOT_SOURCE = "binance_spot"


class LevelParameters(Parameters):
    """``symbol``: none means all that trade. ``until``: bars that closed later are left out; none means the newest.

    ``market_type``: the collected futures, or spot, whose bars are asked of the venue. ``history``: of a symbol that
    was never analysed, levels are followed over so many bars before the newest.
    """

    symbol: str | None = Field(None, min_length=1, max_length=64)
    """One symbol, BTCUSDT for example; left empty, all that trade."""
    exchange: Literal["binance"] = "binance"
    """Whose market it is."""
    market_type: Literal["future", "spot"] = "future"
    """The futures that are collected, or one spot symbol, whose bars the venue is asked for."""
    timeframe: Literal["5m", "15m", "1h", "4h", "1d"] = "1h"
    """How long the bars are in which levels are looked for."""
    until: AwareDatetime | None = None
    """Bars that closed later are left out: 2026-11-01T00:00:00Z. Left empty, up to the newest."""
    history: int = Field(0, ge=0, le=SPAN_BARS)
    """Of a symbol that was never analysed: over how many bars before the newest its levels are followed."""

    @model_validator(mode="after")
    def _spot_names_its_symbol(self) -> Self:
        if self.market_type == "spot" and self.symbol is None:
            raise ValueError("symbol: of spot there is no universe here, name one")
        return self

    @property
    def until_ms(self) -> int | None:
        return None if self.until is None else int(self.until.timestamp() * 1000)


def kind(source: str, *, futures: BarSource, spot: BarSource) -> Kind[LevelParameters]:
    """The kind of task; ``source`` is the exchange's word in the table ``bars`` (``BINANCE_WS_DB_EXCHANGE``).

    ``futures`` is asked only for what the ledger misses, and for one symbol at a time: in a run of the universe the
    patrol, which fills these holes, would ask for the same.
    """

    async def run(context: Context, asked: LevelParameters) -> Mapping[str, Any]:
        future = asked.market_type == "future"
        market = market_of(asked.timeframe, source) if future else spot_market(asked.timeframe)
        until_ms = asked.until_ms if future else await _fetch_spot(context, spot, market, asked)
        fetched = await _fetch_missing(context, futures, market, asked) if future and asked.symbol else []
        done: Mapping[str, Any] = await context.compute(
            "analysis.levels.compute:compute",
            market=market,
            symbols=None if asked.symbol is None else [asked.symbol],
            until_ms=until_ms,
            history=asked.history,
            fetched=fetched,
        )
        await context.tell(
            f"{done['symbols']} symbols, {done['rows_begun']} rows of levels begun, {done['rows_ended']} ended"
        )
        return done

    return Kind(
        "Levels", LevelParameters, run, _subject, about="support and resistance, of one symbol or of all"
    )


def market_of(timeframe: str, source: str) -> Market:
    """The series of collected futures: ``binance``, ``future``, with their bars under ``source``."""
    return Market("binance", "future", timeframe, PERIODS_MS[timeframe], source)


def spot_market(timeframe: str) -> Market:
    """The series of spot symbols, whose bars are fetched when they are asked for."""
    return Market("binance", "spot", timeframe, PERIODS_MS[timeframe], SPOT_SOURCE, kept=False)


def _subject(asked: LevelParameters) -> str:
    """All runs of one timeframe of futures go one after the other: each follows what the one before has left."""
    symbol = f"/{asked.symbol}" if asked.market_type == "spot" else ""
    return f"{asked.market_type}/{asked.timeframe}{symbol}"


async def _fetch_spot(context: Context, spot: BarSource, market: Market, asked: LevelParameters) -> int:
    """Bring the bars that were never asked for into the table; returns the close of the newest."""
    until_ms = await spot.closed_ms(market.period_ms)
    if asked.until_ms is not None:
        until_ms = min(until_ms, asked.until_ms // market.period_ms * market.period_ms)
    since_ms = await context.compute(
        "analysis.levels.fetched:wanted_since",
        market=market,
        symbol=asked.symbol,
        until_ms=until_ms,
        history=asked.history,
    )
    bars = await spot.bars(str(asked.symbol), market.timeframe, market.period_ms, since_ms, until_ms)
    await context.tell(f"{len(bars)} bars of {asked.symbol} {market.timeframe} from the venue")
    await context.compute("analysis.levels.fetched:keep", market=market, symbol=asked.symbol, bars=bars)
    return until_ms


async def _fetch_missing(
    context: Context, futures: BarSource, market: Market, asked: LevelParameters
) -> list[VenueBar]:
    """The venue's bars for periods that have none here because their minutes are missing, each asked for once."""
    which = {"market": market, "symbol": asked.symbol}
    span = {**which, "until_ms": asked.until_ms, "history": asked.history}
    ranges = await context.compute("analysis.levels.fetched:missing", **span)
    found = 0
    for from_ms, to_ms in ranges:
        bars = await futures.bars(str(asked.symbol), market.timeframe, market.period_ms, from_ms, to_ms)
        await context.compute(
            "analysis.levels.fetched:remember", **which, from_ms=from_ms, to_ms=to_ms, bars=bars
        )
        found += len(bars)
    if ranges:
        await context.tell(
            f"{found} bars of {asked.symbol} {market.timeframe} from the venue, for holes here"
        )
    kept: list[VenueBar] = await context.compute("analysis.levels.fetched:remembered", **span)
    return kept
