"""The optional gauge by symbol shows what is stored, and forgets who left."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from src.collectors.live.symbol_gauge import SymbolGauge
from src.errors import Unavailable
from src.model import MINUTE_MS, Authority, Candle, Gap, WriteResult
from src.telemetry.metrics import Metrics

NAME = "marketd_symbol_last_open_time_seconds"


class Store:
    """A sink that stores everything, or nothing while ``away``."""

    def __init__(self) -> None:
        self.away = False
        self.is_open = False

    async def open(self) -> None:
        self.is_open = True

    async def write(self, candles: Sequence[Candle], gaps: Sequence[Gap]) -> WriteResult:
        if self.away:
            raise Unavailable("away")
        return WriteResult(len(candles), 0, 0)

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None:
        raise AssertionError("nothing is refused here")

    async def close(self) -> None:
        self.is_open = False


def candle(symbol: str, minute: int) -> Candle:
    return Candle(
        symbol, minute * MINUTE_MS, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0, 0.0, 0.0, "binance_ws", Authority.STREAM
    )


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def gauge(store: Store, registry: CollectorRegistry) -> SymbolGauge:
    return SymbolGauge(store, Metrics(registry).enable_symbol_gauge())


async def test_the_newest_stored_minute_counts(gauge: SymbolGauge, registry: CollectorRegistry) -> None:
    result = await gauge.write([candle("BTCUSDT", 5), candle("BTCUSDT", 3), candle("币安人生USDT", 1)], [])
    assert result.inserted == 3
    assert registry.get_sample_value(NAME, {"symbol": "BTCUSDT"}) == 300
    assert registry.get_sample_value(NAME, {"symbol": "币安人生USDT"}) == 60


async def test_what_was_not_stored_does_not_show(
    gauge: SymbolGauge, store: Store, registry: CollectorRegistry
) -> None:
    store.away = True
    with pytest.raises(Unavailable):
        await gauge.write([candle("BTCUSDT", 5)], [])
    assert registry.get_sample_value(NAME, {"symbol": "BTCUSDT"}) is None


async def test_series_go_with_a_delisting(gauge: SymbolGauge, registry: CollectorRegistry) -> None:
    await gauge.write([candle("BTCUSDT", 5), candle("OLDUSDT", 5)], [])
    gauge.keep(frozenset({"BTCUSDT", "NEWUSDT"}))
    assert registry.get_sample_value(NAME, {"symbol": "OLDUSDT"}) is None
    assert registry.get_sample_value(NAME, {"symbol": "BTCUSDT"}) == 300
    # It trades again: an older minute counts anew.
    await gauge.write([candle("OLDUSDT", 2)], [])
    assert registry.get_sample_value(NAME, {"symbol": "OLDUSDT"}) == 120


async def test_the_sink_behind_is_opened_and_closed(gauge: SymbolGauge, store: Store) -> None:
    await gauge.open()
    assert store.is_open
    await gauge.close()
    assert not store.is_open
