"""Requests that are cancelled while they are dialled, on the daemon's own loop."""

from __future__ import annotations

import asyncio
import socket
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from yarl import URL

from src.adapters.binance.rest.http import GuardedSession
from src.adapters.binance.rest.sockets import make_socket
from src.errors import Unavailable
from tests.support.descriptors import cancelled_after, open_descriptors
from tests.support.eventually import eventually
from tests.support.raw_http import answer, raw_http

_STEPS = [*range(25)] * 2
"""Turns of the loop that a request is given once it has a socket: enough to connect, to be handed over, and to ask.
The turn in which the loop has the socket and the request does not is not the same each time."""


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
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = asyncio.Event()

    def made_socket(address: tuple[Any, ...]) -> socket.socket:
        made.set()
        return make_socket(address)

    monkeypatch.setattr("src.adapters.binance.rest.http.make_socket", made_socket)

    async def asked(url: str, steps: int) -> None:
        made.clear()
        session = _session(url)
        await cancelled_after(ask(session, url), steps, once=made)
        await session.close()

    async def work() -> None:
        async with raw_http(always=answer({})) as http:
            await asked(http.url, 0)
            before = open_descriptors()
            for steps in _STEPS:
                await asked(http.url, steps)
            await eventually(lambda: open_descriptors() <= before)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        _run(new_loop, work())
    assert [str(warning.message) for warning in told if "unclosed <" in str(warning.message)] == []


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
