"""A running ``BinanceStream`` with everything it delivered, and the sandbox's truth to compare with."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import pytest

from src.adapters.binance.stream.client import BinanceStream, StreamOptions
from src.adapters.binance.stream.pacing import SlidingWindow
from src.clock import VenueClock
from src.model import MINUTE_MS, Candle, ContractChange
from src.sandbox import Kline, Sandbox
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually

SPEED = 20.0
_TRADES = {"PERPETUAL", "TRADIFI_PERPETUAL"}


class Listener:
    """What one stream delivered."""

    def __init__(self, options: StreamOptions, clock: VenueClock) -> None:
        self.candles: list[Candle] = []
        self.changes: list[ContractChange] = []
        self.metrics = Metrics()
        self.stream = BinanceStream(options, clock, self.metrics, self._take, self._change)

    def _take(self, candle: Candle) -> None:
        self.candles.append(candle)

    def _change(self, change: ContractChange) -> None:
        self.changes.append(change)

    def count(self, name: str, **labels: str) -> float:
        """One sample, 0 when there is none."""
        return self.metrics.registry.get_sample_value(f"marketd_{name}", labels) or 0.0

    def total(self, name: str) -> float:
        """The sum of one family over its labels."""
        return sum(self.by_label(name).values())

    def by_label(self, name: str) -> Counter[str]:
        """The samples of a family by their one label."""
        return Counter(
            {
                next(iter(sample.labels.values()), ""): sample.value
                for family in self.metrics.registry.collect()
                for sample in family.samples
                if sample.name == f"marketd_{name}"
            }
        )

    async def subscribed(self, number: int, timeout: float = 60.0) -> None:
        """Wait until that many symbols are acknowledged on connections that deliver."""
        await eventually(
            lambda: self.count("symbols_subscribed") == number,
            timeout=timeout,
            message=f"{number} symbols subscribed",
        )

    async def fresh(self, symbols: Collection[str], timeout: float = 60.0) -> None:
        """Wait until each symbol has delivered a candle from now on."""
        start = len(self.candles)
        await eventually(
            lambda: {candle.symbol for candle in self.candles[start:]} >= set(symbols),
            timeout=timeout,
            message="a fresh candle of every symbol",
        )


@asynccontextmanager
async def listening(
    url: str, clock: VenueClock, symbols: Collection[str], **options: Any
) -> AsyncIterator[Listener]:
    """A stream that runs until the block ends; what ``run`` raised is raised here."""
    listener = Listener(StreamOptions(url=url, **options), clock)
    listener.stream.set_symbols(symbols)
    running = asyncio.create_task(listener.stream.run(), name="stream")
    try:
        yield listener
    finally:
        running.cancel()
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()


def clock_of(sandbox: Sandbox) -> VenueClock:
    """A clock that shows the sandbox's time."""
    return VenueClock(speed=sandbox.options.speed, start=sandbox.now())


def symbols_of(sandbox: Sandbox) -> list[str]:
    """The symbols that trade: USDT perpetuals."""
    return sorted(
        one["symbol"]
        for one in sandbox.venue.listing()
        if one["quote"] == "USDT" and one["contract_type"] in _TRADES and one["status"] == "TRADING"
    )


def values_of(kline: Kline) -> tuple[float | int, ...]:
    """The nine values as a candle has them."""
    prices = (kline.open, kline.high, kline.low, kline.close, kline.volume, kline.quote_volume)
    taker = (kline.taker_buy_volume, kline.taker_buy_quote_volume)
    return (*map(float, prices), kline.trade_count, *map(float, taker))


def assert_true(sandbox: Sandbox, candles: Collection[Candle]) -> None:
    """Every candle is what the exchange says it is."""
    assert candles
    for candle in candles:
        (kline,) = sandbox.truth(candle.symbol, candle.open_ms, candle.open_ms + MINUTE_MS)
        assert candle.values == values_of(kline), candle.key


def assert_complete(candles: Collection[Candle], symbols: Collection[str]) -> None:
    """Between its first and its last minute no symbol lacks one."""
    minutes: dict[str, set[int]] = {symbol: set() for symbol in symbols}
    for candle in candles:
        minutes[candle.symbol].add(candle.open_ms)
    first = max(min(found) for found in minutes.values())
    last = min(max(found) for found in minutes.values())
    expected = set(range(first, last + 1, MINUTE_MS))
    assert len(expected) >= 2
    missing = {symbol: sorted(expected - found) for symbol, found in minutes.items() if expected - found}
    assert not missing


def windows_told(monkeypatch: pytest.MonkeyPatch, module: ModuleType, window_s: float) -> list[list[float]]:
    """What every window of that length, made by ``module`` from now on, lets go, and when; in the clock it is told.

    When it arrives at the venue is up to a busy machine, and no rule of ours.
    """
    windows: list[list[float]] = []

    class Told(SlidingWindow):
        def __init__(self, limit: int, seconds: float) -> None:
            super().__init__(limit, seconds)
            self._told: list[float] = []
            if seconds == window_s:
                windows.append(self._told)

        def take(self, now: float) -> None:
            super().take(now)
            self._told.append(now)

    monkeypatch.setattr(module, "SlidingWindow", Told)
    return windows
