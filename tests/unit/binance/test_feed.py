"""cryptofeed as we use it: its handler and callbacks are the way, its side effects are not."""

from __future__ import annotations

import asyncio
import atexit
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptofeed import types
from cryptofeed.connection import AsyncConnection

from src.adapters.binance.stream.feed import BinanceFeed, CandleIntake, FrameHandler, stream_name
from src.adapters.binance.stream.frame_counts import CountsReporter, FrameCounts
from src.clock import VenueClock
from src.model import Candle, ContractChange
from src.telemetry.metrics import Metrics

from .messages import CONTRACT, OPEN_MS, combined, kline


class Received(AsyncConnection):
    """A connection that only says when its last message came."""

    is_open = False

    def __init__(self) -> None:
        self.last_message = OPEN_MS / 1000 + 60.3


class Receiver:
    """A feed with everything behind it, fed by hand."""

    def __init__(self, *symbols: str) -> None:
        self.candles: list[Candle] = []
        self.changes: list[ContractChange] = []
        self.metrics = Metrics()
        self.counts = FrameCounts()
        clock = VenueClock(start=OPEN_MS / 1000 + 61)
        intake = CandleIntake(self.take_candle, clock, self.metrics, "binance_ws")
        self.feed = BinanceFeed("wss://fstream.binance.com/market", intake)
        self.feed.know(symbols)
        self.frames = FrameHandler(self.feed, self.take_change, self.metrics, source="binance_ws")
        self.connection = Received()

    def take_candle(self, candle: Candle) -> None:
        self.candles.append(candle)

    def take_change(self, change: ContractChange) -> None:
        self.changes.append(change)

    async def take(self, frame: bytes) -> None:
        await self.frames.handle(frame, self.connection, self.counts)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"marketd_{name}", labels) or 0.0


@pytest.fixture
def receiver() -> Receiver:
    return Receiver("SUSHIUSDT", "币安人生USDT")


async def test_a_closed_frame_becomes_a_candle_through_cryptofeed(receiver: Receiver) -> None:
    await receiver.take(combined(kline()))
    await receiver.take(combined(kline("币安人生USDT")))
    assert [candle.symbol for candle in receiver.candles] == ["SUSHIUSDT", "币安人生USDT"]
    assert receiver.candles[0].taker_buy_quote_volume == 14464.696
    assert receiver.counts.closed == 2


async def test_callbacks_get_cryptofeeds_own_candle_and_the_receipt_time(receiver: Receiver) -> None:
    got: list[tuple[Any, float]] = []

    async def callback(candle: Any, receipt: float) -> None:
        got.append((candle, receipt))

    feed = BinanceFeed("wss://fstream.binance.com/market", callback)
    feed.know(["SUSHIUSDT"])
    await FrameHandler(feed, receiver.take_change, receiver.metrics, source="binance_ws").handle(
        combined(kline()), receiver.connection, receiver.counts
    )
    candle, receipt = got[0]
    assert isinstance(candle, types.Candle)
    assert (candle.symbol, candle.closed, candle.start) == ("SUSHI-USDT-PERP", True, OPEN_MS / 1000)
    assert receipt == receiver.connection.last_message


async def test_a_raw_frame_is_taken_like_a_combined_one(receiver: Receiver) -> None:
    await receiver.take(orjson.dumps(kline()))
    assert len(receiver.candles) == 1


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (combined(kline("NEVERUSDT")), "unknown_symbol"),
        (combined(kline(), stream="btcusdt@kline_1m"), "bad_symbol"),
        (combined(kline(h="1")), "bad_price"),
        (combined(kline(t=OPEN_MS + 180_000, T=OPEN_MS + 239_999)), "future_time"),
        (combined({"e": "contractInfo", "s": "X"}), "not_contract"),
        (b'{"stream":"sushiusdt@kline_1m"}', "not_kline"),
        (b"[]", "not_kline"),
    ],
)
async def test_an_unusable_frame_is_counted_and_costs_nothing_else(
    receiver: Receiver, frame: bytes, reason: str
) -> None:
    await receiver.take(frame)
    await receiver.take(combined(kline()))
    assert receiver.count("rows_rejected_total", reason=reason) == 1
    assert len(receiver.candles) == 1


async def test_a_frame_that_is_no_json_is_malformed(receiver: Receiver) -> None:
    await receiver.take(b'{"x":true')
    assert (receiver.counts.malformed, receiver.counts.closed) == (1, 0)


async def test_a_contract_event_is_handed_on_once_however_many_connections_carry_it(
    receiver: Receiver,
) -> None:
    for _ in range(4):
        await receiver.take(combined(CONTRACT, "!contractInfo"))
    await receiver.take(combined(CONTRACT | {"cs": "SETTLING"}, "!contractInfo"))
    assert [change.status for change in receiver.changes] == ["TRADING", "SETTLING"]


async def test_long_numbers_are_counted(receiver: Receiver) -> None:
    await receiver.take(combined(kline(q="1234567890.1234567")))
    assert receiver.count("inexact_values_total", field="quote_volume") == 1


def test_a_feed_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    registered: list[object] = []
    monkeypatch.setattr(atexit, "register", registered.append)
    monkeypatch.setattr(atexit, "unregister", registered.remove)
    policy = asyncio.get_event_loop_policy()
    receiver = Receiver("SUSHIUSDT")
    with asyncio.Runner() as runner:
        runner.run(receiver.take(combined(kline())))
    assert receiver.candles
    assert registered == []
    assert asyncio.get_event_loop_policy() is policy
    assert list(tmp_path.iterdir()) == []


def test_only_ascii_letters_are_lowered() -> None:
    assert stream_name("1000PEPEUSDT") == "1000pepeusdt@kline_1m"
    assert stream_name("币安人生USDT") == "币安人生usdt@kline_1m"
    assert stream_name("ÄΩUSDT") == "ÄΩusdt@kline_1m"


def test_counts_reach_the_metrics_once() -> None:
    counts, metrics = FrameCounts(), Metrics()
    reporter = CountsReporter(counts, metrics, "binance_ws")
    value = metrics.registry.get_sample_value
    first = value("marketd_rows_dropped_total", {"reason": "stream_queue"})
    assert first == 0, "increase() sees no first row of a series that begins with it"
    counts.open, counts.control, counts.received_bytes, counts.dropped = 5, 1, 400, 2
    assert reporter.report()
    counts.control += 1
    assert not reporter.report(), "an answer is no data"
    assert value("marketd_ws_frames_total", {"kind": "open"}) == 5
    assert value("marketd_ws_frames_total", {"kind": "control"}) == 2
    assert value("marketd_ws_received_bytes_total") == 400
    assert value("marketd_rows_dropped_total", {"reason": "stream_queue"}) == 2
    assert value("marketd_rows_received_total", {"source": "binance_ws"}) == 2


@pytest.mark.parametrize("time", [None, "1626992760203", 1.5, True, -1, 2**53, 17_699_040_600_000_000_203])
async def test_an_event_without_its_time_costs_nothing_else(receiver: Receiver, time: object) -> None:
    """cryptofeed's handler would end the connection."""
    event = kline()
    if time is None:
        del event["E"]
    else:
        event["E"] = time
    await receiver.take(combined(event))
    assert receiver.candles == []
    assert receiver.count("rows_rejected_total", reason="bad_time") == 1
