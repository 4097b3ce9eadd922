"""Which stream counts as stuck: the one that takes nothing of what comes, and not the one to which nothing comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from src.adapters.binance.stream.client import BinanceStream, StreamOptions
from src.adapters.binance.stream.feed import FrameHandler
from src.clock import VenueClock
from src.model import Candle
from src.sandbox import Sandbox
from src.telemetry.metrics import Metrics
from src.telemetry.pulse import Pulse, follow_tasks
from tests.support.eventually import eventually

from .listening import symbols_of

_SLOTS = 2


class Watched:
    """A stream on several connections, as the collector that its supervisor makes of it."""

    def __init__(self, sandbox: Sandbox, clock: VenueClock) -> None:
        self.metrics, self.pulse, self.candles = Metrics(), Pulse("ws"), list[Candle]()
        symbols = symbols_of(sandbox)
        options = StreamOptions(url=sandbox.ws_url, streams_per_connection=len(symbols) // _SLOTS + 2)
        self.stream = BinanceStream(options, clock, self.metrics, self._take, lambda _: None)
        self.symbols = symbols

    def _take(self, candle: Candle) -> None:
        self.candles.append(candle)

    def frames(self) -> float:
        return self.metrics.registry.get_sample_value("marketd_ws_frames_total", {"kind": "canary"}) or 0.0

    async def frames_come(self) -> None:
        """Until every connection was looked at some more times, while frames came: a look counts ten of them."""
        before = self.frames()
        await eventually(lambda: self.frames() > before + 100, message="the connections deliver")

    async def goes_on(self) -> None:
        """Looks that are far apart find movement, every time. (One that hangs would be seen at the first already.)"""
        for look in range(1, 6):
            await eventually(partial(self._moves, 2000.0 * look), message="it goes on")

    def _moves(self, now: float) -> bool:
        return self.pulse.still_for(now) == 0


@asynccontextmanager
async def watched(sandbox: Sandbox, clock: VenueClock) -> AsyncIterator[Watched]:
    one = Watched(sandbox, clock)
    loop = asyncio.get_running_loop()
    follow_tasks(loop)

    async def work() -> None:
        with one.pulse.watched():
            await one.stream.run()

    running = asyncio.create_task(work(), name="ws")
    await asyncio.sleep(0)
    # Told by somebody else's task, as the universe does.
    one.stream.set_symbols(one.symbols)
    try:
        yield one
    finally:
        running.cancel()
        await asyncio.wait([running])
        loop.set_task_factory(None)


async def test_one_reader_that_hangs_is_seen_though_others_read_and_all_connections_are_watched(
    sandbox: Sandbox, clock: VenueClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung: list[str] = []
    original = FrameHandler.handle

    async def handle(self: FrameHandler, frame: bytes, connection: object, counts: object) -> None:
        name = connection.id.split(".")[0]  # type: ignore[attr-defined]
        if name == "0":
            hung.append(name)
            await asyncio.get_running_loop().create_future()
        await original(self, frame, connection, counts)  # type: ignore[arg-type]

    monkeypatch.setattr(FrameHandler, "handle", handle)
    async with watched(sandbox, clock) as one:
        await eventually(lambda: hung, message="one hangs")
        # When the other has read more than a minute of its own, frames wait at the one that hangs.
        await eventually(lambda: len(one.candles) > 2 * len(one.symbols), message="the other reads")
        one.pulse.still_for(1.0)
        await one.frames_come()
        assert one.pulse.still_for(2000.0) == 1999.0


async def test_a_connection_that_brings_nothing_but_the_canary_is_not_stuck(
    sandbox: Sandbox, clock: VenueClock
) -> None:
    """Symbols that sleep for hours send no frame, so no reader goes on."""
    async with watched(sandbox, clock) as one:
        await eventually(lambda: len({candle.symbol for candle in one.candles}) == len(one.symbols))
        muted = sandbox.control.mute()
        await eventually(lambda: muted.fired > len(one.symbols))
        silent = len(one.candles)
        await one.goes_on()
        assert len(one.candles) <= silent + len(one.symbols), "it was not silent"


async def test_a_stream_that_cannot_connect_or_has_no_symbol_is_not_stuck(
    sandbox: Sandbox, clock: VenueClock
) -> None:
    async with watched(sandbox, clock) as one:
        await one.frames_come()
        refused = sandbox.control.handshake(503)
        sandbox.control.close(1001)
        await eventually(lambda: refused.fired > _SLOTS, message="it dials in vain")
        await one.goes_on()
        one.stream.set_symbols([])
        one.pulse.still_for(20_000.0)
        await one.goes_on()
