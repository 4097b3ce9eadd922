"""The live stream as a collector: subscribed to what the universe says, as long as it runs."""

from __future__ import annotations

from ...ports import CandleStream
from ..listings.universe import Universe


class LiveCollector:
    """Runs the stream. Its candles arrive at ``CandleGate.live``, its listing events at ``Universe.on_change``."""

    def __init__(self, stream: CandleStream, universe: Universe) -> None:
        self._stream = stream
        self._universe = universe

    async def run(self) -> None:
        """Stream until cancelled; a failure of the stream is the supervisor's."""
        await self._universe.ready.wait()
        with self._universe.telling(self._stream.set_symbols):
            await self._stream.run()
