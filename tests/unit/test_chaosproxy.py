"""The fault injector itself: every fault happens, is counted, and stops when told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.chaosproxy import ChaosProxy
from tests.support.eventually import eventually


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def echo_through_proxy() -> AsyncIterator[ChaosProxy]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    try:
        async with ChaosProxy(server.sockets[0].getsockname()[:2]) as proxy:
            yield proxy
    finally:
        server.close()


@asynccontextmanager
async def client(proxy: ChaosProxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bytes:
    writer.write(data)
    async with asyncio.timeout(60):
        return await reader.readexactly(len(data))


async def test_passes_bytes_on_unchanged() -> None:
    async with echo_through_proxy() as proxy, client(proxy) as (reader, writer):
        payload = bytes(range(256)) * 2000
        assert await ask(reader, writer, payload) == payload
        assert proxy.fired == {"connections": 1}
        assert proxy.connections == 1


async def test_close_all_is_seen_as_end_of_file() -> None:
    async with echo_through_proxy() as proxy, client(proxy) as (reader, writer):
        await ask(reader, writer, b"hello")
        assert proxy.close_all() == 1
        assert await reader.read() == b""
        assert proxy.fired["fin"] == 1


async def test_reset_all_is_seen_as_connection_reset() -> None:
    async with echo_through_proxy() as proxy, client(proxy) as (reader, writer):
        await ask(reader, writer, b"hello")
        assert proxy.reset_all() == 1
        with pytest.raises(ConnectionResetError):
            await reader.read()
        assert proxy.fired["rst"] == 1


async def test_refuse_and_listen_again_on_the_same_port() -> None:
    async with echo_through_proxy() as proxy:
        port = proxy.port
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await proxy.listen()
        async with client(proxy) as (reader, writer):
            assert await ask(reader, writer, b"back") == b"back"
        assert (proxy.port, proxy.fired["refused"]) == (port, 1)


async def test_nobody_gets_the_port_while_it_refuses() -> None:
    async with echo_through_proxy() as proxy:
        await proxy.refuse()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", proxy.port))


async def test_refusal_leaves_open_connections_alone() -> None:
    async with echo_through_proxy() as proxy, client(proxy) as (reader, writer):
        await ask(reader, writer, b"before")
        await proxy.refuse()
        assert await ask(reader, writer, b"after") == b"after"


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_blackhole_takes_bytes_and_keeps_the_connection(direction: str) -> None:
    async with echo_through_proxy() as proxy, client(proxy) as (reader, writer):
        await ask(reader, writer, b"hello")
        path = getattr(proxy, direction)
        path.blackhole = True
        writer.write(b"lost")
        async with asyncio.timeout(60):
            while proxy.fired["blackholed_bytes"] < 4:  # noqa: ASYNC110 (a counter has no event to wait for)
                await asyncio.sleep(0.01)
        proxy.heal()
        assert await ask(reader, writer, b"again") == b"again"


async def test_a_ghost_stays_on_the_other_side() -> None:
    async with echo_through_proxy() as proxy:
        async with client(proxy) as (reader, writer):
            await ask(reader, writer, b"hello")
            proxy.up.blackhole = proxy.up.ghosts = True
        async with asyncio.timeout(60):
            while not proxy.fired["ghosts"]:  # noqa: ASYNC110 (a counter has no event to wait for)
                await asyncio.sleep(0.01)
        proxy.heal()
        assert proxy.connections == 1, "the server was told"
        async with client(proxy) as (reader, writer):
            assert await ask(reader, writer, b"again") == b"again"
            assert proxy.connections == 2


async def test_limit_cuts_in_the_middle_of_a_message() -> None:
    async with echo_through_proxy() as proxy, client(proxy) as (reader, writer):
        proxy.down.limit = 3
        writer.write(b"hello")
        async with asyncio.timeout(60):
            assert await reader.read() == b"hel"
        assert proxy.fired["cut"] == 1


async def test_slices_arrive_whole_and_in_order() -> None:
    async with echo_through_proxy() as proxy, client(proxy) as (reader, writer):
        proxy.up.slice = 7
        assert await ask(reader, writer, b"0123456789" * 10) == b"0123456789" * 10
        assert proxy.fired["sliced"] == 1


async def test_latency_and_rate_take_their_time() -> None:
    async with echo_through_proxy() as proxy, client(proxy) as (reader, writer):
        loop = asyncio.get_running_loop()
        proxy.up.latency, proxy.down.rate = 0.1, 1000.0
        begun = loop.time()
        await ask(reader, writer, b"x" * 200)
        assert loop.time() - begun >= 0.19
        assert proxy.fired["latency"] >= 1
        assert proxy.fired["throttled"] >= 1


async def test_stall_blocks_the_sender_until_healed() -> None:
    async with echo_through_proxy() as proxy, client(proxy) as (reader, writer):
        await ask(reader, writer, b"hello")
        proxy.up.stall()
        writer.write(b"x" * 30_000_000)
        drain = asyncio.create_task(writer.drain())
        done, _ = await asyncio.wait({drain}, timeout=0.2)
        assert not done
        await eventually(lambda: proxy.fired["stalled"] == 1)
        drain.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await drain


async def test_a_reply_is_held_until_healed_and_others_before_it_are_not() -> None:
    async with echo_through_proxy() as proxy, client(proxy) as (reader, writer):
        proxy.hold_reply_after(b"COMMIT")
        assert await ask(reader, writer, b"hello") == b"hello"
        writer.write(b"COMMIT")
        await eventually(lambda: proxy.fired["stalled"] == 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.read(1)
        proxy.heal()
        async with asyncio.timeout(60):
            assert await reader.readexactly(6) == b"COMMIT"


async def test_cut_reply_lets_the_request_through_and_swallows_the_answer() -> None:
    seen: list[bytes] = []

    async def remember(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            seen.append(data)
            writer.write(b"done")
        writer.close()

    server = await asyncio.start_server(remember, "127.0.0.1", 0)
    async with ChaosProxy(server.sockets[0].getsockname()[:2]) as proxy:
        proxy.cut_reply_after(b"COMMIT")
        async with client(proxy) as (reader, writer):
            writer.write(b"BEGIN")
            assert await reader.readexactly(4) == b"done"
            writer.write(b"COMMIT")
            with pytest.raises(ConnectionResetError):
                await reader.read()
        assert seen == [b"BEGIN", b"COMMIT"]
        assert proxy.fired["reply_cut"] == 1
        async with client(proxy) as (reader, writer):
            writer.write(b"COMMIT")
            assert await reader.readexactly(4) == b"done"
    server.close()


async def test_cut_reply_leaves_clients_of_another_name_alone() -> None:
    async with (
        echo_through_proxy() as proxy,
        client(proxy) as (other_reader, other),
        client(proxy) as (reader, writer),
    ):
        await ask(other_reader, other, b"name: limiter")
        await ask(reader, writer, b"name: writer")
        proxy.cut_reply_after(b"COMMIT", of=b"name: writer")
        assert await ask(other_reader, other, b"COMMIT") == b"COMMIT"
        writer.write(b"COMMIT")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        assert proxy.fired["reply_cut"] == 1


async def test_a_dead_target_resets_the_client() -> None:
    with socket.socket() as dead:  # bound and not listening: the port refuses, and nobody else can take it
        dead.bind(("127.0.0.1", 0))
        async with ChaosProxy(dead.getsockname()) as proxy, client(proxy) as (reader, _):
            with pytest.raises(ConnectionResetError):
                await reader.read()
