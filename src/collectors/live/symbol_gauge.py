"""The one gauge by symbol, off by default: when each symbol's newest stored minute began."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import Gauge

from ...model import Candle, Gap, WriteResult
from ...ports import CandleSink


class SymbolGauge:
    """Stands before a sink and notes what it has stored. Series of symbols that left go with ``keep``."""

    def __init__(self, sink: CandleSink, gauge: Gauge) -> None:
        self._sink = sink
        self._gauge = gauge
        self._newest: dict[str, int] = {}

    async def open(self) -> None:
        await self._sink.open()

    async def write(self, candles: Sequence[Candle], gaps: Sequence[Gap]) -> WriteResult:
        result = await self._sink.write(candles, gaps)
        for candle in candles:
            if candle.open_ms > self._newest.get(candle.symbol, 0):
                self._newest[candle.symbol] = candle.open_ms
                self._gauge.labels(symbol=candle.symbol).set(candle.open_ms / 1000)
        return result

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None:
        await self._sink.quarantine(candle, reason=reason, detail=detail)

    async def close(self) -> None:
        await self._sink.close()

    def keep(self, symbols: frozenset[str]) -> None:
        """Drop the series of all symbols but these."""
        for symbol in self._newest.keys() - symbols:
            del self._newest[symbol]
            self._gauge.remove(symbol)
