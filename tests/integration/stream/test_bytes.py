"""What the sandbox cannot do: a server that does not read, pings, and messages in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest

from src.adapters.binance.stream.dial import Dialer
from src.adapters.binance.stream.options import StreamOptions
from src.adapters.binance.stream.transport import BinanceConnection
from src.adapters.binance.venue import MAX_FRAME_BYTES
from src.clock import VenueClock
from src.errors import Unavailable
from tests.support.eventually import eventually
from tests.support.websocket_server import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Peer,
    WebSocketServer,
)
from tests.unit.binance.messages import OPEN_MS, combined, kline

from .listening import Listener, listening

SYMBOL = "SUSHIUSDT"


@pytest.fixture
def clock() -> VenueClock:
    return VenueClock(start=OPEN_MS / 1000 + 61)


@pytest.fixture
async def server() -> AsyncIterator[WebSocketServer]:
    async with WebSocketServer() as running:
        yield running


async def _peer(server: WebSocketServer, listener: Listener) -> Peer:
    await listener.subscribed(1)
    return server.peers[-1]


async def test_a_ping_is_answered_with_its_own_payload(server: WebSocketServer, clock: VenueClock) -> None:
    async with listening(server.url, clock, [SYMBOL]) as listener:
        peer = await _peer(server, listener)
        peer.send(b"1791382992723", PING)
        peer.send(b"", PING)
        await eventually(lambda: peer.messages(PONG) == [b"1791382992723", b""])


async def test_requests_go_out_as_text(server: WebSocketServer, clock: VenueClock) -> None:
    async with listening(server.url, clock, ["币安人生USDT"]) as listener:
        peer = await _peer(server, listener)
        assert not peer.messages(BINARY)
        (request,) = map(orjson.loads, peer.messages(TEXT))
    assert request["params"] == ["btcusdt@markPrice@1s", "!contractInfo", "币安人生usdt@kline_1m"]
    assert peer.messages(CLOSE) == [(1000).to_bytes(2, "big")]


async def test_a_message_in_pieces_is_joined(server: WebSocketServer, clock: VenueClock) -> None:
    frame = combined(kline())
    async with listening(server.url, clock, [SYMBOL]) as listener:
        peer = await _peer(server, listener)
        # In one piece of the wire: the server's own canary must not come between the fragments.
        peer.send(frame[:100], final=False)
        peer.send(b"", PING)
        peer.send(frame[100:200], CONTINUATION, final=False)
        peer.send(frame[200:], CONTINUATION)
        await eventually(lambda: len(listener.candles) == 1)


async def test_a_message_in_pieces_may_not_be_larger_than_a_whole_one(
    server: WebSocketServer, clock: VenueClock
) -> None:
    async with listening(server.url, clock, [SYMBOL]) as listener:
        peer = await _peer(server, listener)
        peer.send(b"x" * 600_000, final=False)
        peer.send(b"x" * (MAX_FRAME_BYTES - 600_000 + 1), CONTINUATION, final=False)
        await eventually(lambda: listener.count("ws_reconnects_total", reason="oversize") == 1)
        assert peer.messages(CLOSE) == [(1009).to_bytes(2, "big")]
        await listener.subscribed(1)
    assert len(server.peers) == 2


async def test_pieces_out_of_order_are_a_broken_protocol(server: WebSocketServer, clock: VenueClock) -> None:
    async with listening(server.url, clock, [SYMBOL]) as listener:
        peer = await _peer(server, listener)
        peer.send(b"x", CONTINUATION)
        await eventually(lambda: listener.count("ws_reconnects_total", reason="protocol") == 1)
        assert peer.messages(CLOSE) == [(1002).to_bytes(2, "big")]


async def test_a_masked_server_frame_is_a_broken_protocol(server: WebSocketServer, clock: VenueClock) -> None:
    async with listening(server.url, clock, [SYMBOL]) as listener:
        peer = await _peer(server, listener)
        peer.writer.write(b"\x81\x81abcd\x00")
        await eventually(lambda: listener.count("ws_reconnects_total", reason="protocol") == 1)


async def test_other_spacing_and_raw_events_are_understood(
    server: WebSocketServer, clock: VenueClock
) -> None:
    async with listening(server.url, clock, [SYMBOL]) as listener:
        peer = await _peer(server, listener)
        spaced = orjson.dumps(orjson.loads(combined(kline())), option=orjson.OPT_INDENT_2)
        still_open = orjson.dumps(kline(x=False), option=orjson.OPT_INDENT_2)
        assert b'"x": true' in spaced
        for frame in (spaced, orjson.dumps(kline()), still_open, combined(kline(x=False))):
            peer.send(frame)
        await eventually(lambda: listener.count("ws_frames_total", kind="open") == 2)
        await eventually(lambda: len(listener.candles) == 2)
        assert len(set(listener.candles)) == 1


async def test_frames_are_counted_by_kind(server: WebSocketServer, clock: VenueClock) -> None:
    async with listening(server.url, clock, [SYMBOL]) as listener:
        peer = await _peer(server, listener)
        peer.send(b'{"e":"somethingNew"}')
        peer.send(b"no json")
        peer.send(b"\x00", BINARY)
        peer.send(b'{"error":{"code":2,"msg":"Invalid request"}}')
        await eventually(lambda: listener.count("ws_frames_total", kind="other") == 1)
        await eventually(lambda: listener.count("ws_frames_total", kind="malformed") == 2)
        assert listener.count("ws_request_errors_total") == 1
        assert listener.total("ws_reconnects_total") == 0


async def test_a_server_that_reads_nothing_is_given_up(clock: VenueClock) -> None:
    """Its window is closed and ours is full: the request never leaves."""
    async with WebSocketServer(reads=False, canary=False) as server:
        options = StreamOptions(url=server.url)
        connection = BinanceConnection(
            "test", Dialer(options), now=clock.now, queue_frames=10, write_wall=0.5, close_wall=0.2
        )
        async with connection.connect():
            with pytest.raises(Unavailable) as refused:
                for _ in range(1000):
                    await connection.write("x" * 100_000)
            assert refused.value.reason == "write_timeout"
            assert await connection.wait_ended() == "write_timeout"


async def test_a_full_queue_drops_its_oldest_frame_and_counts_it(
    server: WebSocketServer, clock: VenueClock
) -> None:
    options = StreamOptions(url=server.url)
    connection = BinanceConnection("test", Dialer(options), now=clock.now, queue_frames=3, write_wall=1.0)
    async with connection.connect():
        await eventually(lambda: server.peers)
        for number in range(5):
            server.peers[0].send(combined(kline(n=number)))
        await eventually(lambda: connection.counts.offered == 5)
        server.peers[0].writer.close()
        left = [orjson.loads(frame)["data"]["k"]["n"] async for frame in connection.read()]
    assert left == [2, 3, 4]
    assert connection.counts.dropped == 2


async def test_receipt_is_stamped_at_the_socket(server: WebSocketServer) -> None:
    stamps = iter([10.0, 20.0])
    options = StreamOptions(url=server.url)
    connection = BinanceConnection(
        "test", Dialer(options), now=lambda: next(stamps), queue_frames=3, write_wall=1.0
    )
    async with connection.connect():
        await eventually(lambda: server.peers)
        for _ in range(2):
            server.peers[0].send(combined(kline()))
        await eventually(lambda: connection.counts.offered == 2)
        server.peers[0].writer.close()
        assert [connection.last_message async for _ in connection.read()] == [10.0, 20.0]


async def test_a_refused_subscription_costs_neither_the_connection_nor_the_others(clock: VenueClock) -> None:
    async with (
        WebSocketServer(acks=False) as server,
        listening(server.url, clock, [SYMBOL, "BTCUSDT"]) as listener,
    ):
        await eventually(lambda: server.peers and server.peers[0].messages(TEXT))
        peer = server.peers[0]
        number = orjson.loads(peer.messages(TEXT)[0])["id"]
        peer.send(orjson.dumps({"error": {"code": 2, "msg": "Invalid request"}, "id": number}))
        await eventually(lambda: listener.count("ws_request_errors_total") == 1)
        assert listener.count("symbols_subscribed") == 0
        peer.send(combined(kline()))
        await eventually(lambda: listener.candles)
        assert listener.total("ws_reconnects_total") == 0


async def test_a_dial_that_is_cancelled_hangs_up_at_once(clock: VenueClock) -> None:
    ended = asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()
        ended.set()

    asked = asyncio.Event()
    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with listening(f"ws://127.0.0.1:{port}/market", clock, [SYMBOL], handshake_wall=600):
            await asyncio.wait_for(asked.wait(), 60)
        await asyncio.wait_for(ended.wait(), 60)


async def test_a_handshake_that_is_never_answered_times_out(clock: VenueClock) -> None:
    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/market"
        async with listening(url, clock, [SYMBOL], handshake_wall=0.2) as listener:
            await eventually(lambda: listener.count("ws_reconnects_total", reason="timeout") >= 1)
            assert listener.count("ws_connection_attempts_total", result="timeout") >= 1


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n<html>", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"x" * 100_000]
)
async def test_a_server_that_speaks_something_else_is_waited_for(clock: VenueClock, answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/market"
        async with listening(url, clock, [SYMBOL]) as listener:
            await eventually(lambda: listener.total("ws_reconnects_total") >= 2, timeout=60)
            assert listener.by_label("ws_reconnects_total").keys() <= {"network", "handshake_other"}
