"""Trades by the stream's own connections, against the sandbox: each once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from src.adapters.binance.stream.client import StreamOptions, TradeStream
from src.clock import VenueClock
from src.model import Trade
from src.sandbox.market.trades import A_MINUTE
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually

SPEED = 30.0
SYMBOLS = ("BTCUSDT", "ETHUSDT")


@dataclass
class Listening:
    sandbox: Sandbox
    metrics: Metrics
    trades: list[Trade] = field(default_factory=list)

    def of(self, symbol: str) -> list[Trade]:
        return [trade for trade in self.trades if trade.symbol == symbol]

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"marketd_{name}", labels) or 0.0

    async def more(self, number: int) -> None:
        """Wait for that many more trades of every symbol."""
        wanted = {symbol: len(self.of(symbol)) + number for symbol in SYMBOLS}
        await eventually(
            lambda: all(len(self.of(symbol)) >= least for symbol, least in wanted.items()),
            timeout=60,
            message=f"{number} more trades of each of {wanted}",
        )


@asynccontextmanager
async def listening() -> AsyncIterator[Listening]:
    async with Sandbox(SandboxOptions(symbols=4, speed=SPEED, sleeper_share=0.0)) as sandbox:
        clock, metrics = VenueClock(speed=SPEED), Metrics()
        clock.set(sandbox.now())
        there = Listening(sandbox, metrics)
        stream = TradeStream(StreamOptions(url=sandbox.ws_url), clock, metrics, there.trades.append)
        stream.set_symbols(SYMBOLS)
        running = asyncio.create_task(stream.run(), name="stream")
        try:
            yield there
        finally:
            running.cancel()
            await asyncio.wait({running})
            if not running.cancelled():
                running.result()


async def test_every_trade_comes_once_and_to_the_digit() -> None:
    async with listening() as there:
        await there.more(2 * A_MINUTE)
        for symbol in SYMBOLS:
            found = there.of(symbol)
            truth = there.sandbox.trades_truth(symbol, found[0].ts_ms, found[-1].ts_ms + 1)
            assert found == [
                Trade(
                    symbol, one.number, one.time_ms, float(one.price), float(one.quantity), one.is_buyer_maker
                )
                for one in truth
            ]
        assert there.count("trade_symbols_subscribed") == 2
        assert there.count("symbols_subscribed") == 0, "the gauge of candles is not touched"
        assert there.count("trades_received_total", source="stream") == len(there.trades)


async def test_after_a_cut_the_stream_goes_on_with_one_hole_in_the_ids_at_most() -> None:
    async with listening() as there:
        await there.more(5)
        before = len(there.trades)
        there.sandbox.control.reset()
        reconnects = there.metrics.ws_reconnects.collect
        await eventually(
            lambda: sum(one.value for family in reconnects() for one in family.samples) == 1,
            timeout=60,
            message="a cut",
        )
        await there.more(5)
        for symbol in SYMBOLS:
            ids = [trade.trade_id for trade in there.of(symbol)]
            assert sum(two - one != 1 for one, two in pairwise(ids)) <= 1
            assert sorted(ids) == ids
        assert len(there.trades) > before
