"""Requests that are cancelled while they are dialled, on the daemon's own loop."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
import uvloop
from yarl import URL

from src.adapters.binance.rest_http import GuardedSession
from src.errors import Unavailable
from tests.support.eventually import eventually
from tests.support.raw_http import answer, raw_http

_STEPS = range(1, 25)
"""Turns of the loop that a request is given; a dial on loopback takes less than half of them."""


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    made: Callable[[], asyncio.AbstractEventLoop] = request.param
    return made


def _run(loop: Callable[[], asyncio.AbstractEventLoop], work: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(work)


def _session(url: str) -> GuardedSession:
    return GuardedSession(url, proxy=None, timeout=5.0, on_answer=lambda *_: None)


async def _get(session: GuardedSession, url: str) -> None:
    async with session.get(URL(url), headers={}):
        pass


async def _stream(session: GuardedSession, url: str) -> None:
    async with session.stream(URL(url), headers={}):
        pass


@pytest.mark.parametrize("ask", [_get, _stream])
def test_a_cancelled_dial_closes_nobody_elses_descriptor(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    ask: Callable[[GuardedSession, str], Coroutine[None, None, None]],
) -> None:
    async def cancelled_after(url: str, steps: int) -> None:
        session = _session(url)
        task = asyncio.create_task(ask(session, url), name="asking")
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        innocent: list[socket.socket] = []
        try:
            await task
        except asyncio.CancelledError:
            # The numbers that are free now are given out again while the failed request is still known.
            innocent += [end for _ in range(8) for end in socket.socketpair()]
        del task
        gc.collect()
        try:
            for sock in innocent:
                os.fstat(sock.fileno())
        finally:
            for sock in innocent:
                sock.close()
        await session.close()

    async def work() -> None:
        async with raw_http(always=answer({})) as http:
            await cancelled_after(http.url, 0)
            before = _descriptors()
            for steps in _STEPS:
                await cancelled_after(http.url, steps)
            await eventually(lambda: _descriptors() <= before)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        _run(new_loop, work())
    assert [str(warning.message) for warning in told if "unclosed <socket" in str(warning.message)] == []


@pytest.mark.parametrize("ask", [_get, _stream])
async def test_a_runtime_error_of_the_loop_is_a_failed_connection(
    ask: Callable[[GuardedSession, str], Coroutine[None, None, None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise RuntimeError("File descriptor 21 is used by transport")

    async with raw_http(always=answer({})) as http:
        session = _session(http.url)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(asyncio.get_running_loop(), "sock_connect", refuse)
                with pytest.raises(Unavailable) as caught:
                    await ask(session, http.url)
            await ask(session, http.url)
        finally:
            await session.close()
    assert caught.value.reason == "connection"


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
