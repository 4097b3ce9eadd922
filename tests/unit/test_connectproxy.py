"""The CONNECT proxy with faults: it tunnels, refuses, asks for a password, hangs and dies as told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.connectproxy import ConnectMode, ConnectProxy, Trap
from tests.support.eventually import eventually

ASKED_PORT = 443
REQUEST = b"CONNECT venue.invalid:443 HTTP/1.1\r\nHost: venue.invalid:443\r\n\r\n"


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError):  # a tunnel may be closed unused
        writer.write((await reader.readexactly(5)).upper())
        await writer.drain()
    writer.close()


@asynccontextmanager
async def proxy_to_greeter() -> AsyncIterator[ConnectProxy]:
    server = await asyncio.start_server(_greet, "127.0.0.1", 0)
    try:
        async with ConnectProxy({ASKED_PORT: server.sockets[0].getsockname()[:2]}) as proxy:
            yield proxy
    finally:
        server.close()


async def ask(
    proxy: ConnectProxy, request: bytes = REQUEST
) -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(request)
    async with asyncio.timeout(60):
        return await reader.readuntil(b"\r\n\r\n"), reader, writer


async def test_tunnels_to_its_own_target() -> None:
    async with proxy_to_greeter() as proxy:
        head, reader, writer = await ask(proxy)
        writer.write(b"hello")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(5) == b"HELLO"
        assert proxy.asked == {"venue.invalid:443": 1}
        assert proxy.fired == {"tunnels": 1}
        writer.transport.abort()


async def test_wants_a_password() -> None:
    async with proxy_to_greeter() as proxy:
        proxy.mode = ConnectMode.AUTHENTICATE
        head, _, writer = await ask(proxy)
        assert head.startswith(b"HTTP/1.1 407 ")
        assert proxy.fired["authenticate"] == 1
        writer.transport.abort()


async def test_hangs_without_an_answer() -> None:
    async with proxy_to_greeter() as proxy:
        proxy.mode = ConnectMode.HANG
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(REQUEST)
        await eventually(lambda: proxy.fired["hang"] == 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.read(1)
        writer.transport.abort()


async def test_dies_when_the_first_bytes_come_back() -> None:
    async with proxy_to_greeter() as proxy:
        proxy.mode = ConnectMode.DIE
        _, reader, writer = await ask(proxy)
        writer.write(b"hello")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(5)
        assert proxy.fired["die"] == 1
        writer.transport.abort()


async def test_refuses_when_gone_and_comes_back_on_its_port() -> None:
    async with proxy_to_greeter() as proxy:
        port = proxy.port
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await proxy.listen()
        head, _, writer = await ask(proxy)
        assert head.startswith(b"HTTP/1.1 200 ")
        writer.transport.abort()


async def test_anything_but_connect_to_a_known_port_is_refused() -> None:
    async with proxy_to_greeter() as proxy:
        head, _, writer = await ask(proxy, b"GET http://venue.invalid/ HTTP/1.1\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 405 ")
        writer.transport.abort()


async def test_the_trap_counts_who_comes_directly() -> None:
    async with Trap() as trap:
        reader, writer = await asyncio.open_connection("0.0.0.0", trap.port)  # noqa: S104 (loopback by another name)
        await reader.read()
        assert trap.caught == 1
        writer.transport.abort()
