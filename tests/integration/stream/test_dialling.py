"""Connections that are cancelled while they are dialled, on the daemon's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import struct
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from picows import WSListener
from picows.url import WSParsedURL

from src.adapters.binance.stream.dial import Dialer
from src.adapters.binance.stream.options import StreamOptions
from src.errors import Unavailable
from tests.support.descriptors import cancelled_after, open_descriptors
from tests.support.eventually import eventually

_STEPS = range(25)
"""Turns of the loop that a dial is given once it has a socket; then it waits for the answer to its upgrade."""


class _Told(Dialer):
    """Says when it has a connected socket: the name is looked up in a thread, which takes any number of turns."""

    def __init__(self, options: StreamOptions) -> None:
        super().__init__(options)
        self.connected = asyncio.Event()

    async def _socket(self, target: WSParsedURL) -> socket.socket:
        sock = await super()._socket(target)
        self.connected.set()
        return sock


@pytest.mark.parametrize(
    "new_loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"]
)
def test_a_cancelled_dial_closes_nobody_elses_descriptor(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with warnings.catch_warnings(record=True) as told, asyncio.Runner(loop_factory=new_loop) as runner:
        warnings.simplefilter("always", ResourceWarning)
        runner.run(_all_steps())
    assert [str(warning.message) for warning in told if "unclosed <socket" in str(warning.message)] == []


async def _all_steps() -> None:
    async with await asyncio.start_server(_never_answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await _cancelled_after(port, 0)
        before = open_descriptors()
        for steps in _STEPS:
            await _cancelled_after(port, steps)
        await eventually(lambda: open_descriptors() <= before, timeout=60)


async def _never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Every dial is still under way when it is cancelled; its end is heard, so that it can be counted.
    await reader.read()
    writer.close()


async def _cancelled_after(port: int, steps: int) -> None:
    dialer = _Told(StreamOptions(url=f"ws://127.0.0.1:{port}/market"))
    await cancelled_after(_dial(dialer), steps, once=dialer.connected)


async def _dial(dialer: Dialer) -> None:
    await dialer.dial(WSListener)


async def test_a_socket_that_is_reset_in_the_moment_it_is_connected_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before anybody has looked at it. Nobody connects it a second time, and it is left to nobody."""
    loop = asyncio.get_running_loop()
    real, made = loop.sock_connect, []

    async def connect_and_see_the_reset(sock: socket.socket, address: Any) -> None:
        made.append(sock)
        await real(sock, address)
        await eventually(lambda: not _is_connected(sock), message="the reset has arrived")

    async with await asyncio.start_server(_reset, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(loop, "sock_connect", connect_and_see_the_reset)
        with pytest.raises(Unavailable) as refused:
            await Dialer(StreamOptions(url=f"ws://127.0.0.1:{port}/market")).dial(WSListener)
    assert refused.value.reason == "network"
    assert len(made) == 1, "it was connected again"
    assert made[0].fileno() == -1, "nobody closed it"


@pytest.mark.parametrize(
    "new_loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"]
)
def test_a_socket_that_is_reset_after_it_was_looked_at_is_closed(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """Between our look at it and the library's, which would connect it once more."""
    with warnings.catch_warnings(record=True) as told, asyncio.Runner(loop_factory=new_loop) as runner:
        warnings.simplefilter("always", ResourceWarning)
        runner.run(_reset_after_the_look())
        gc.collect()
    assert [str(warning.message) for warning in told if "unclosed <socket" in str(warning.message)] == []


async def _reset_after_the_look() -> None:
    async with await asyncio.start_server(_reset, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        before = open_descriptors()
        # Whether the dial fails or the connection is over at once is the library's affair.
        with contextlib.suppress(Unavailable):
            await _Late(StreamOptions(url=f"ws://127.0.0.1:{port}/market")).dial(WSListener)
        await eventually(lambda: open_descriptors() <= before, timeout=60)


class _Late(Dialer):
    """Gives its socket away once it has been reset."""

    async def _socket(self, target: WSParsedURL) -> socket.socket:
        sock = await super()._socket(target)
        await eventually(lambda: not _has_a_peer(sock), message="the reset has arrived")
        return sock


def _has_a_peer(sock: socket.socket) -> bool:
    """What the kernel says of it."""
    try:
        socket.socket.getpeername(sock)
    except OSError:
        return False
    return True


async def _reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True
