"""Connections that are cancelled while they are dialled, on the daemon's own loop."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from picows import WSListener
from picows.url import WSParsedURL

from src.adapters.binance.stream_options import StreamOptions
from src.adapters.binance.transport_dial import Dialer
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
        before = _descriptors()
        for steps in _STEPS:
            await _cancelled_after(port, steps)
        await eventually(lambda: _descriptors() <= before)


async def _never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Every dial is still under way when it is cancelled; its end is heard, so that it can be counted.
    await reader.read()
    writer.close()


async def _cancelled_after(port: int, steps: int) -> None:
    dialer = _Told(StreamOptions(url=f"ws://127.0.0.1:{port}/market"))
    task = asyncio.create_task(_dial(dialer), name="dialling")
    await dialer.connected.wait()
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    innocent: list[socket.socket] = []
    try:
        await task
    except asyncio.CancelledError:
        # The numbers that are free now are given out again while the failed dial is still known.
        innocent += [end for _ in range(8) for end in socket.socketpair()]
    del task
    gc.collect()
    try:
        for sock in innocent:
            os.fstat(sock.fileno())
    finally:
        for sock in innocent:
            sock.close()


async def _dial(dialer: Dialer) -> None:
    await dialer.dial(WSListener)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
