"""CPU per kline frame: our stream against stock cryptofeed, in one process, fed by another one over loopback.

Every round sends the same burst to each: 600 symbols on 3 connections, 240 frames a symbol, the last of them
closed. Rounds alternate, and medians count. What is measured is this process's CPU time from the first frame
to the last closed candle; connecting is left out.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import uvloop
from cryptofeed import feed as cryptofeed_feed
from cryptofeed.connection import AsyncConnection, WebsocketEndpoint, WSAsyncConn
from cryptofeed.defines import CANDLES
from cryptofeed.exchanges import BinanceFutures
from cryptofeed.symbols import Symbols

from benchmarks.frames_server import CONNECTIONS, FRAMES, START_MS, SYMBOLS
from src.adapters.binance.stream.client import BinanceStream
from src.adapters.binance.stream.feed import CandleIntake
from src.adapters.binance.stream.options import OWN_STREAMS, StreamOptions
from src.clock import VenueClock
from src.model import Candle
from src.telemetry.metrics import Metrics

ROUNDS = 5
_DEADLINE_S = 60.0

Session = Callable[[int, "Collector"], Awaitable[float]]


class Collector:
    """Takes the candles of one round and says when all are there."""

    def __init__(self) -> None:
        self.candles: set[Candle] = set()
        self.complete = asyncio.Event()

    def __call__(self, candle: Candle) -> None:
        self.candles.add(candle)
        if len(self.candles) == len(SYMBOLS):
            self.complete.set()


class _PlainConnection(WSAsyncConn):
    """Stock transport over ws://: only the check of the scheme is left out."""

    def __init__(self, address: str, conn_id: str, **kwargs: object) -> None:
        self.address = address
        AsyncConnection.__init__(self, f"{conn_id}.ws.{self.conn_count}")
        self.ws_kwargs = {name: value for name, value in kwargs.items() if name not in _NOT_FOR_WEBSOCKETS}


_NOT_FOR_WEBSOCKETS = ("authentication", "subscription")


async def _stock(port: int, collector: Collector) -> float:
    """One burst through cryptofeed 2.4.1's own class, transport and reconnect loop."""

    class Stock(BinanceFutures):
        websocket_endpoints = (
            WebsocketEndpoint(f"ws://127.0.0.1:{port}/market", options={"compression": None, "proxy": None}),
        )

    names = {f"{symbol[:-4]}-USDT-PERP": symbol for symbol in SYMBOLS}
    Symbols.set(Stock.id, names, {})
    intake = CandleIntake(collector, _clock(), Metrics(), "binance_ws")
    stock = Stock(
        symbols=list(names),
        channels=[CANDLES],
        callbacks={CANDLES: intake},
        config={"uvloop": False, "log": {"disabled": True}},
    )
    stock.start(asyncio.get_running_loop())
    try:
        return await _measure(port, collector)
    finally:
        stock.stop()
        await stock.shutdown()
        Symbols.clear()


async def _ours(port: int, collector: Collector) -> float:
    options = StreamOptions(
        url=f"ws://127.0.0.1:{port}/market",
        streams_per_connection=len(SYMBOLS) // CONNECTIONS + OWN_STREAMS,
        idle_s=_DEADLINE_S,
    )
    stream = BinanceStream(options, _clock(), Metrics(), collector, lambda change: None)
    stream.set_symbols(SYMBOLS)
    running = asyncio.create_task(stream.run(), name="bench-stream")
    try:
        return await _measure(port, collector)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def _measure(port: int, collector: Collector) -> float:
    """Ask for the burst once every stream is subscribed; returns CPU seconds up to the last candle."""
    async with asyncio.timeout(_DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /go HTTP/1.1\r\n\r\n")
        await reader.readexactly(5)  # all are subscribed, the burst begins
        gc.collect()
        before = time.process_time()
        await collector.complete.wait()
        spent = time.process_time() - before
        writer.close()
    return spent


def _clock() -> VenueClock:
    return VenueClock(start=START_MS / 1000 + 60)


async def _round(session: Session, port: int) -> tuple[float, set[Candle]]:
    collector = Collector()
    spent = await session(port, collector)
    return spent / (len(SYMBOLS) * FRAMES) * 1e6, collector.candles


def _rounds(port: int) -> dict[str, object]:
    ours: list[float] = []
    stock: list[float] = []
    equal = True
    for _ in range(ROUNDS + 1):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            stock_cost, theirs = runner.run(_round(_stock, port))
            our_cost, mine = runner.run(_round(_ours, port))
        stock.append(stock_cost)
        ours.append(our_cost)
        equal = equal and mine == theirs and len(mine) == len(SYMBOLS)
    # The first round pays for imports and caches.
    our_median, stock_median = statistics.median(ours[1:]), statistics.median(stock[1:])
    return {
        "cpu_us_per_frame": round(our_median, 3),
        "stock_cpu_us_per_frame": round(stock_median, 3),
        "ratio": round(stock_median / our_median, 2),
        "closed_equal": equal,
        "rounds": ROUNDS,
        "symbols": len(SYMBOLS),
        "frames_per_round": len(SYMBOLS) * FRAMES,
        "cpu_us_per_frame_each": [round(cost, 3) for cost in ours[1:]],
        "stock_cpu_us_per_frame_each": [round(cost, 3) for cost in stock[1:]],
    }


def run() -> dict[str, object]:
    """The result of the benchmark ``frames``."""
    # cryptofeed has no other way to give its class a transport that takes ws://.
    stock_transport, cryptofeed_feed.WSAsyncConn = cryptofeed_feed.WSAsyncConn, _PlainConnection
    command = [sys.executable, "-m", "benchmarks.frames_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            if server.stdout is None:
                raise RuntimeError("the server has no output")
            return _rounds(int(server.stdout.readline()))
        finally:
            cryptofeed_feed.WSAsyncConn = stock_transport
            server.terminate()
