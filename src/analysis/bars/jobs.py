"""The tasks that make bars: those that are kept of every symbol, and others on demand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from ...errors import BadData
from ..jobs import Context, Kind, Parameters
from .ranges import interval_ms


class KeepBars(Parameters):
    """``days``: how many days of symbols are made anew in one run, beside what is new; the rest waits."""

    days: Annotated[int, Field(ge=0, le=1_000_000)] = 6_000
    """How many days of symbols are made anew in this run, beside what is new; the rest waits for the next."""


def kept_bars(exchange: str) -> Kind[KeepBars]:
    """5m, 15m, 1h, 4h and 1d of every symbol of ``exchange``, as far as its candles are closed. For each 5m close.

    Its result: {exchange, symbols, from_ms, closed_ms, closed_all_ms, bars, days, days_left}.
    """

    async def run(context: Context, asked: KeepBars) -> Mapping[str, Any]:
        made: Mapping[str, Any] = await context.compute(
            "analysis.bars.keeping:keep", exchange=exchange, days=asked.days
        )
        return made

    return Kind(
        name="Bars",
        parameters=KeepBars,
        run=run,
        subject=lambda asked: exchange,
        about="Make the bars of 5m, 15m, 1h, 4h and 1d that are over, and those whose candles changed.",
    )


class BarKind(StrEnum):
    """What fills a bar."""

    time = "time"
    tick = "tick"
    volume = "volume"
    dollar = "dollar"


class BarSource(StrEnum):
    """What bars are made of; auto is candles for whole minutes, else trades."""

    auto = "auto"
    candles = "candles"
    trades = "trades"


class Aggregate(Parameters):
    """Bars of one symbol. ``size`` is an interval (7m, 90s, 2h) for bars of time, else a number of trades, of base or
    quote asset. ``exchange``: None is the one that is collected.
    """

    symbol: Annotated[str, Field(min_length=1, max_length=64)]
    """Of which symbol, BTCUSDT for example."""
    size: str
    """What fills a bar: an interval (7m, 90s, 2h), a number of trades, or an amount of base or quote asset."""
    kind: BarKind = BarKind.time
    """Whether a bar is filled by time, by trades (tick), by base asset (volume) or by quote asset (dollar)."""
    source: BarSource = BarSource.auto
    """What they are made of; auto takes candles for whole minutes, else trades."""
    exchange: str | None = None
    """binance_futures_um or binance_spot; left empty, the one whose candles are collected."""
    since: AwareDatetime | None = None
    """From when on: 2026-11-01T00:00:00Z. Left empty, from where the stored ones end."""
    anew: bool = False
    """Make again what is stored."""

    def amount(self) -> float:
        """The size in milliseconds, trades, base asset or quote asset. Raises BadData."""
        if self.kind is BarKind.time:
            return float(interval_ms(self.size))
        try:
            amount = float(self.size)
        except ValueError:
            raise BadData(
                f"size: {self.size!r} is no number of what fills a {self.kind} bar", reason="bar_size"
            ) from None
        if not 0 < amount < float("inf"):
            raise BadData(f"size: {self.size} must be more than 0", reason="bar_size")
        return amount

    def call(self, exchange: str) -> tuple[str, dict[str, Any]]:
        """The kernel function that builds them, and its arguments. ``exchange`` is the one that is collected."""
        size, here = self.amount(), self.exchange or exchange
        of_candles = self.source is BarSource.candles or (
            self.source is BarSource.auto
            and self.kind is BarKind.time
            and size % 60_000 == 0
            and here == exchange
        )
        arguments = {
            "exchange": here,
            "symbol": self.symbol,
            "kind": self.kind.value,
            "size": size,
            "since_ms": None if self.since is None else _milliseconds(self.since),
            "anew": self.anew,
        }
        if of_candles:
            return "analysis.bars.building:from_candles", arguments
        return "analysis.bars.trades:from_trades", arguments


def built_bars(exchange: str) -> Kind[Aggregate]:
    """Bars of any kind and size on demand, as ``marketd aggregate`` builds them. Its result says from when to when."""

    async def run(context: Context, asked: Aggregate) -> Mapping[str, Any]:
        function, arguments = asked.call(exchange)
        made: Mapping[str, Any] = await context.compute(function, **arguments)
        return made

    return Kind(
        name="Aggregate",
        parameters=Aggregate,
        run=run,
        subject=lambda asked: f"{asked.exchange or exchange}/{asked.symbol}/{asked.kind}/{asked.size}",
        deadline_s=6 * 3600.0,
        about="Build bars of one symbol: time, tick, volume or dollar, of candles or trades.",
    )


def _milliseconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)
