"""Subscribing and delivering, with nothing wrong."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter, deque
from itertools import pairwise

import pytest
import uvloop
from cryptofeed.connection import WebsocketEndpoint
from cryptofeed.defines import CANDLES
from cryptofeed.exchanges import BinanceFutures
from cryptofeed.symbols import Symbols

from src.adapters.binance import venue
from src.adapters.binance.stream import link as stream_link
from src.adapters.binance.stream.client import BinanceStream, StreamOptions
from src.adapters.binance.stream.feed import CandleIntake
from src.clock import VenueClock
from src.model import Authority, Candle, ContractChange
from src.sandbox import Sandbox, SandboxOptions
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually

from .listening import SPEED, assert_complete, assert_true, clock_of, listening, symbols_of, windows_told


async def test_every_candle_of_every_symbol_comes_with_every_column(
    sandbox: Sandbox, clock: VenueClock
) -> None:
    symbols = symbols_of(sandbox)
    async with listening(sandbox.ws_url, clock, symbols, streams_per_connection=22) as listener:
        await listener.subscribed(len(symbols))
        for _ in range(3):
            await listener.fresh(symbols)
        streams = [one["streams"] for one in sandbox.control.connections()]
    assert any(not symbol.isascii() for symbol in symbols)
    assert_true(sandbox, listener.candles)
    assert_complete(listener.candles, symbols)
    assert max(Counter(candle.key for candle in listener.candles).values()) == 1
    assert {(candle.source, candle.authority) for candle in listener.candles} == {
        ("binance_ws", Authority.STREAM)
    }
    klines = Counter(name for names in streams for name in names if "@kline_1m" in name)
    assert len(klines) == len(symbols)
    assert set(klines.values()) == {1}
    assert len(streams) >= 2
    assert all(len(names) <= 22 and "btcusdt@markPrice@1s" in names for names in streams)


async def test_requests_are_text_batched_and_paced(
    sandbox: Sandbox, clock: VenueClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = windows_told(monkeypatch, stream_link, 1 / venue.REQUESTS_PER_SECOND)
    symbols = symbols_of(sandbox)
    async with listening(sandbox.ws_url, clock, symbols, names_per_request=4) as listener:
        await listener.subscribed(len(symbols))
        sent = [one for one in sandbox.venue.stats.subscriptions if one.connection == 0]
    assert len(sent) >= len(symbols) // 4
    assert all(0 < len(one.params) <= 4 for one in sent)
    # Five a second; a twentieth of the pause is lost to the loop's own timer.
    assert len(windows[0]) >= len(sent)
    assert all(later - earlier > 0.19 for times in windows for earlier, later in pairwise(times))


async def test_symbols_come_and_go_while_running(sandbox: Sandbox, clock: VenueClock) -> None:
    symbols = symbols_of(sandbox)
    first, second = symbols[:10], symbols[5:25]
    async with listening(sandbox.ws_url, clock, first, streams_per_connection=12) as listener:
        await listener.subscribed(10)
        listener.stream.set_symbols(second)
        await eventually(lambda: _held(sandbox) == set(second), message="the new set is subscribed")
        await listener.subscribed(20)
        await listener.fresh(second)
        listener.stream.set_symbols([])
        await eventually(lambda: not sandbox.control.connections(), message="nothing is wanted any more")
        listener.stream.set_symbols(first)
        await listener.subscribed(10)
    assert listener.by_label("ws_reconnects_total") == Counter()


def _held(sandbox: Sandbox) -> set[str]:
    names = {symbol.lower() + "@kline_1m": symbol for symbol in symbols_of(sandbox)}
    return {names[name] for one in sandbox.control.connections() for name in one["streams"] if name in names}


async def test_listings_are_told_once_however_many_connections_hear_them(
    sandbox: Sandbox, clock: VenueClock
) -> None:
    symbols = symbols_of(sandbox)
    async with listening(sandbox.ws_url, clock, symbols, streams_per_connection=12) as listener:
        await listener.subscribed(len(symbols))
        sandbox.control.list_symbol("新币NEWUSDT", in_seconds=60)
        await eventually(lambda: listener.changes, message="the listing is told")
        await listener.fresh(symbols)
    mine = [change for change in listener.changes if change.symbol == "新币NEWUSDT"]
    assert len(mine) == len(set(mine))
    assert mine[0].status in {"PENDING_TRADING", "TRADING"}


async def test_a_silent_symbol_is_asked_again_and_then_moved(sandbox: Sandbox, clock: VenueClock) -> None:
    symbols = symbols_of(sandbox)[:20]
    victim = symbols[0]
    async with listening(sandbox.ws_url, clock, symbols, streams_per_connection=14) as listener:
        await listener.subscribed(20)
        (home,) = _places(sandbox, victim)
        muted = sandbox.control.mute(victim, until="resubscribe")
        await listener.fresh(symbols[1:])
        listener.stream.resubscribe(victim)
        await listener.fresh([victim])
        assert muted.fired
        assert _places(sandbox, victim) == {home}
        listener.stream.resubscribe(victim)
        await eventually(lambda: _places(sandbox, victim) - {home}, message="the symbol moved")
        await eventually(lambda: len(_places(sandbox, victim)) == 1, message="and is on one connection")
        await listener.fresh(symbols)
        listener.stream.resubscribe("NEVERUSDT")
        sandbox.control.close(1001)
        await eventually(lambda: listener.count("ws_reconnects_total", reason="close_1001") == 2)
        listener.stream.resubscribe(victim)
    assert listener.by_label("ws_resubscribes_total") == {"same_connection": 1, "moved": 1}


def _places(sandbox: Sandbox, symbol: str) -> set[int]:
    name = symbol.lower() + "@kline_1m"
    return {one["number"] for one in sandbox.control.connections() if name in one["streams"]}


async def test_cancelling_says_goodbye_with_1000_and_leaves_no_task(
    sandbox: Sandbox, clock: VenueClock
) -> None:
    before = asyncio.all_tasks()
    async with listening(sandbox.ws_url, clock, symbols_of(sandbox), streams_per_connection=12) as listener:
        await listener.subscribed(len(symbols_of(sandbox)))
        opened = len(sandbox.control.connections())
        names = {task.get_name() for task in asyncio.all_tasks() - before}
    await eventually(lambda: sandbox.venue.stats.disconnects["client 1000"] == opened)
    assert not any(name.startswith("Task-") for name in names if "stream" in name)
    assert not [task for task in asyncio.all_tasks() - before if task.get_name().startswith("stream")]
    assert listener.total("ws_connections") == 0
    assert listener.count("symbols_subscribed") == 0


async def test_a_stream_may_run_again(sandbox: Sandbox, clock: VenueClock) -> None:
    symbols = symbols_of(sandbox)[:5]
    async with listening(sandbox.ws_url, clock, symbols) as listener:
        await listener.subscribed(5)
    again = asyncio.create_task(listener.stream.run(), name="stream-again")
    try:
        await listener.subscribed(5)
    finally:
        again.cancel()
        await asyncio.wait([again])


async def test_what_a_handler_raises_ends_the_run(sandbox: Sandbox, clock: VenueClock) -> None:
    def refuse(candle: Candle) -> None:
        raise LookupError(candle.symbol)

    def ignore(change: ContractChange) -> None:
        return

    stream = BinanceStream(StreamOptions(url=sandbox.ws_url), clock, Metrics(), refuse, ignore)
    stream.set_symbols(symbols_of(sandbox)[:3])
    with pytest.raises(ExceptionGroup) as ended:
        async with asyncio.timeout(60):
            await stream.run()
    assert ended.value.subgroup(LookupError) is not None
    await eventually(lambda: not sandbox.control.connections())


def test_the_daemons_own_loop_delivers_and_tells_a_reset_from_a_fin() -> None:
    """uvloop has other transports than asyncio, and the sandbox runs on it too."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_deliver_and_reset())


async def _deliver_and_reset() -> None:
    async with Sandbox(SandboxOptions(symbols=6, speed=SPEED, seed=7, sleeper_share=0.0)) as sandbox:
        symbols = symbols_of(sandbox)
        async with listening(sandbox.ws_url, clock_of(sandbox), symbols) as listener:
            await listener.subscribed(len(symbols))
            sandbox.control.reset()
            await eventually(lambda: listener.count("ws_reconnects_total", reason="reset") == 1)
            await listener.fresh(symbols)
            sandbox.control.close(1006)
            await eventually(lambda: listener.count("ws_reconnects_total", reason="fin") == 1)
            await listener.fresh(symbols)
    assert_true(sandbox, listener.candles)


class _Stock(BinanceFutures):
    """cryptofeed 2.4.1's own class with the address of the sandbox and nothing else changed."""


async def test_the_stock_class_gets_the_same_candles_through_the_same_callback() -> None:
    options = SandboxOptions(symbols=12, speed=SPEED, seed=7, sleeper_share=0.0, tls=True)
    async with Sandbox(options) as sandbox:
        assert sandbox.ca_file is not None
        clock, symbols = clock_of(sandbox), symbols_of(sandbox)
        theirs: deque[Candle] = deque()

        def take(candle: Candle) -> None:
            theirs.append(candle)

        names = {f"{symbol.removesuffix('USDT')}-USDT-PERP": symbol for symbol in symbols}
        Symbols.set(BinanceFutures.id, names, {})
        tls = {"compression": None, "proxy": None, "ssl": ssl.create_default_context(cafile=sandbox.ca_file)}
        _Stock.websocket_endpoints = [WebsocketEndpoint(sandbox.ws_url, options=tls)]
        stock = _Stock(
            symbols=list(names),
            channels=[CANDLES],
            callbacks={CANDLES: CandleIntake(take, clock, Metrics(), "binance_ws")},
            config={"uvloop": False, "log": {"disabled": True}},
        )
        stock.start(asyncio.get_running_loop())
        try:
            async with listening(sandbox.ws_url, clock, symbols, ca_file=sandbox.ca_file) as listener:
                await listener.subscribed(len(symbols))
                await eventually(lambda: len(theirs) > 3 * len(symbols), timeout=60)
                await listener.fresh(symbols)
        finally:
            stock.stop()
            await stock.shutdown()
            Symbols.clear()
    common = {candle.open_ms for candle in theirs} & {candle.open_ms for candle in listener.candles}
    minutes = sorted(common)[1:-1]
    assert minutes
    mine = {candle for candle in listener.candles if candle.open_ms in minutes}
    assert mine == {candle for candle in theirs if candle.open_ms in minutes}
    assert len(mine) == len(minutes) * len(symbols)
