"""Candles and a book of alerts in a real database, for tests of what is looked at and of what is delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from src.adapters.timescale.alert_store import AlertStore
from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.pool import make_pool
from src.model import MINUTE_MS, Candle
from src.model.alerts import Direction
from src.telemetry.metrics import Metrics
from tests.faults.database import ask
from tests.support.fakes import make_candle

EXCHANGE = "binance_futures_um"
NOW_MS = 1_793_491_200_000
"""2026-11-01T00:00:00Z"""
DIRECTIONS: tuple[Direction, ...] = ("long", "short")


def candle(minute: int, close: float, symbol: str = "BTCUSDT") -> Candle:
    made = make_candle(symbol, NOW_MS + minute * MINUTE_MS)
    return replace(made, open=close, high=close + 1, low=close / 2, close=close)


@pytest.fixture
async def candles(database: str) -> AsyncIterator[CandleStore]:
    store = CandleStore(DatabaseOptions(database, exchange=EXCHANGE), Metrics())
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def book(database: str) -> AsyncIterator[AlertStore]:
    pool = make_pool(DatabaseOptions(database, exchange=EXCHANGE), purpose="alerts", size=4)
    await pool.open()
    yield AlertStore(pool, exchange=EXCHANGE)
    await pool.close()


async def crossed(database: str) -> list[tuple[object, ...]]:
    """(alert, minute) of every event, in order."""
    return await ask(
        database,
        "SELECT alert_id, ((extract(epoch FROM bucket_ts) * 1000 - %s) / 60000)::integer FROM market_data.alert_events"
        " ORDER BY alert_id, bucket_ts",
        NOW_MS,
    )


def naive(closes: Sequence[float], price: float, direction: Direction) -> list[int]:
    """The minutes that cross, by the sentence of the decision."""
    found = []
    for minute in range(1, len(closes)):
        before, after = closes[minute - 1], closes[minute]
        if direction == "long" and before > price >= after:
            found.append(minute)
        if direction == "short" and before < price <= after:
            found.append(minute)
    return found
