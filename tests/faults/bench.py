"""A writer in the test's own process, on a real database, with the rows of a real venue to store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.options import DatabaseOptions
from src.clock import VenueClock
from src.collectors.live.buffer import CandleBuffer
from src.collectors.live.writer import Writer
from src.model import MINUTE_MS, Authority, Candle, floor_minute
from src.telemetry.health import Health
from src.telemetry.metrics import Metrics
from tests.support.daemon import Samples
from tests.support.eventually import eventually
from tests.support.oracle import Oracle
from tests.support.venue import Venue, VenueOptions
from tests.support.world import SCHEMA

_MINUTES = 6


class Bench:
    """A buffer, and writers one after the other that empty it into one database."""

    def __init__(self, venue: Venue, database_url: str, proxied: str) -> None:
        self.metrics, self.health, self.clock = Metrics(), Health(), VenueClock()
        self.buffer = CandleBuffer(self.clock, self.metrics)
        self.oracle = Oracle(venue, database_url, schema=SCHEMA)
        self._options = DatabaseOptions(url=proxied, schema=SCHEMA)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[asyncio.Task[None]]:
        """A writer's ``run`` as a task; its session is closed at the end."""
        store = CandleStore(self._options, self.metrics)
        writer = Writer(self.buffer, store, self.clock, self.metrics, self.health, window=0.1)
        task = asyncio.create_task(writer.run(), name="writer")
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})
            await store.close()

    async def until_empty(self) -> Samples:
        await eventually(lambda: not len(self.buffer), timeout=60, message="the buffer is empty")
        return Samples(generate_latest(self.metrics.registry).decode())


@asynccontextmanager
async def a_bench(
    folder: Path, database: str, *, proxied: str | None = None
) -> AsyncIterator[tuple[Bench, list[Candle], int]]:
    """The bench, the rows that it shall store, and the end of the last of their minutes.

    ``proxied`` is the way of the writer to the database, where it shall not be the direct one.
    """
    async with Venue.open(VenueOptions(history=_MINUTES + 1), folder) as venue:
        until_ms = floor_minute(venue.started_ms)
        first_ms = until_ms - (_MINUTES + 1) * MINUTE_MS
        rows = [
            _candle(venue, symbol, open_ms)
            for symbol in venue.symbols
            for open_ms in range(first_ms, until_ms, MINUTE_MS)
        ]
        yield Bench(venue, database, proxied or database), rows, until_ms


def _candle(venue: Venue, symbol: str, open_ms: int) -> Candle:
    values: Any = venue.values(symbol, open_ms)
    return Candle(*(symbol, open_ms, *values, "binance_ws", Authority.STREAM))


def put(bench: Bench, rows: Sequence[Candle]) -> None:
    for row in rows:
        bench.buffer.put(row)
