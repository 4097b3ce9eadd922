"""Tells whoever is interested what the writer has stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...model import Candle, Gap, WriteResult
from ...ports import CandleSink
from ...telemetry.log import get_logger

_log = get_logger("writer")


class CommitTap:
    """Stands before a sink. ``told`` hear of the candles of a transaction once it has committed, whatever it did with
    each; one that raises is not told again, for nothing may keep candles from being stored."""

    def __init__(self, sink: CandleSink, told: list[Callable[[Sequence[Candle]], None]]) -> None:
        self._sink = sink
        self._told = told

    async def open(self) -> None:
        await self._sink.open()

    async def write(self, candles: Sequence[Candle], gaps: Sequence[Gap]) -> WriteResult:
        result = await self._sink.write(candles, gaps)
        for tell in tuple(self._told):
            try:
                tell(candles)
            except Exception as error:
                self._told.remove(tell)
                _log.error("listener_failed", msg="not told of candles any more", exc_info=error)
        return result

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None:
        await self._sink.quarantine(candle, reason=reason, detail=detail)

    async def close(self) -> None:
        await self._sink.close()
