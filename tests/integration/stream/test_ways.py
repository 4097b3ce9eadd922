"""Proxy, TLS and names: everything but loopback goes through the proxy, and certificates always count (A8 to A10)."""

from __future__ import annotations

import socket
import threading
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from picows import WSListener

from src.adapters.binance import names
from src.adapters.binance.stream import dial as transport_dial
from src.adapters.binance.stream.options import StreamOptions
from src.clock import VenueClock
from src.errors import Unavailable
from src.sandbox import Sandbox, SandboxOptions
from tests.support.certificates import Authority
from tests.support.chaosproxy import ChaosProxy
from tests.support.connectproxy import ConnectMode, ConnectProxy
from tests.support.eventually import eventually

from .listening import SPEED, Listener, clock_of, listening, symbols_of

OUTSIDE = "192.0.2.77"
"""An address of TEST-NET-1: nothing answers there, so what arrives came through the proxy."""


@pytest.fixture
async def secure() -> AsyncIterator[Sandbox]:
    options = SandboxOptions(symbols=6, speed=SPEED, seed=7, sleeper_share=0.0, tls=True)
    async with Sandbox(options) as running:
        yield running


async def _failed(listener: Listener, reason: str, times: int = 2) -> None:
    await eventually(
        lambda: listener.count("ws_reconnects_total", reason=reason) >= times,
        timeout=60,
        message=f"{times} x {reason}",
    )


@pytest.fixture
async def outside(tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[tuple[ChaosProxy, Path]]:
    """The sandbox behind TLS, with a certificate for an address outside; and the authority to trust."""
    authority = Authority(tmp_path, "authority")
    async with ChaosProxy(("127.0.0.1", sandbox.port), tls=authority.server(OUTSIDE)) as tls:
        yield tls, authority.file


async def test_an_address_outside_is_reached_through_the_proxy_alone(
    sandbox: Sandbox, clock: VenueClock, outside: tuple[ChaosProxy, Path]
) -> None:
    tls, ca_file = outside
    symbols = symbols_of(sandbox)[:6]
    async with ConnectProxy({443: ("127.0.0.1", tls.port)}) as proxy:
        url = f"wss://{OUTSIDE}/market"
        async with listening(url, clock, symbols, proxy=proxy.url, ca_file=ca_file) as listener:
            await listener.subscribed(6)
            await listener.fresh(symbols)
        assert proxy.asked == {f"{OUTSIDE}:443": 1}


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (ConnectMode.AUTHENTICATE, "proxy"),
        (ConnectMode.HANG, "timeout"),
        (ConnectMode.DIE, None),
        (None, "proxy"),
    ],
)
async def test_a_proxy_that_fails_is_waited_for_and_never_gone_round(
    sandbox: Sandbox,
    clock: VenueClock,
    outside: tuple[ChaosProxy, Path],
    monkeypatch: pytest.MonkeyPatch,
    mode: ConnectMode | None,
    reason: str | None,
) -> None:
    tls, ca_file = outside
    symbols = symbols_of(sandbox)[:6]
    dialed = _watch_sockets(monkeypatch)
    async with ConnectProxy({443: ("127.0.0.1", tls.port)}) as proxy:
        if mode is None:
            await proxy.refuse()
        else:
            proxy.mode = mode
        options = {"proxy": proxy.url, "ca_file": ca_file, "handshake_wall": 1.0}
        async with listening(f"wss://{OUTSIDE}/market", clock, symbols, **options) as listener:
            if reason is None:
                await eventually(lambda: listener.total("ws_reconnects_total") >= 2, timeout=60)
            else:
                await _failed(listener, reason)
            assert listener.count("ws_connection_attempts_total", result="ok") == 0
            proxy.mode = ConnectMode.OPEN
            await proxy.listen()
            await listener.fresh(symbols, timeout=60)
    assert {port for host, port in dialed} == {proxy.port}
    assert {host for host, port in dialed} == {"127.0.0.1"}


def _watch_sockets(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where the stream looks up addresses: the only way to a socket that it has."""
    asked: list[tuple[str, int]] = []
    original = names.Resolver.resolve

    async def resolve(self: names.Resolver, host: str, port: int) -> list[names.Address]:
        asked.append((host, port))
        return await original(self, host, port)

    monkeypatch.setattr(names.Resolver, "resolve", resolve)
    return asked


async def test_a_traceback_shows_nothing_of_the_proxy() -> None:
    async with ConnectProxy({}) as proxy:
        proxy.mode = ConnectMode.AUTHENTICATE
        url = proxy.url.replace("//", "//user:pa55word@")
        options = StreamOptions(url=f"wss://{OUTSIDE}/market", proxy=url)
        with pytest.raises(Unavailable) as caught:
            await transport_dial.Dialer(options).dial(WSListener)
    assert caught.value.reason == "proxy"
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert "pa55word" not in "".join(traceback.format_exception(caught.value))


async def test_loopback_never_goes_through_the_proxy(sandbox: Sandbox, clock: VenueClock) -> None:
    symbols = symbols_of(sandbox)[:6]
    async with ConnectProxy({}) as proxy:
        async with listening(sandbox.ws_url, clock, symbols, proxy=proxy.url) as listener:
            await listener.subscribed(6)
        assert not proxy.asked


async def test_the_environments_proxies_are_not_ours(
    sandbox: Sandbox, clock: VenueClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ConnectProxy({}) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "WSS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.lower(), proxy.url)
        async with listening(sandbox.ws_url, clock, symbols_of(sandbox)[:6]) as listener:
            await listener.subscribed(6)
        assert not proxy.asked


async def test_tls_with_a_trusted_certificate_delivers(secure: Sandbox) -> None:
    symbols = symbols_of(secure)
    async with listening(secure.ws_url, clock_of(secure), symbols, ca_file=secure.ca_file) as listener:
        await listener.fresh(symbols)


async def test_a_certificate_nobody_vouches_for_is_refused(secure: Sandbox) -> None:
    async with listening(secure.ws_url, clock_of(secure), symbols_of(secure)) as listener:
        await _failed(listener, "tls")
        assert listener.count("ws_connection_attempts_total", result="ok") == 0


@pytest.mark.parametrize(("address", "expired"), [("127.0.0.1", True), (OUTSIDE, False)])
async def test_an_expired_certificate_or_one_of_another_host_is_refused(
    sandbox: Sandbox, clock: VenueClock, tmp_path: Path, address: str, expired: bool
) -> None:
    authority = Authority(tmp_path, "authority")
    server = authority.server(address, expired=expired)
    async with ChaosProxy(("127.0.0.1", sandbox.port), tls=server) as tls:
        url = f"wss://127.0.0.1:{tls.port}/market"
        async with listening(url, clock, symbols_of(sandbox)[:6], ca_file=authority.file) as listener:
            await _failed(listener, "tls")
            assert listener.count("ws_connection_attempts_total", result="ok") == 0


async def test_a_name_that_does_not_exist_is_told(clock: VenueClock, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with listening("wss://fstream.example.org/market", clock, ["BTCUSDT"]) as listener:
        await _failed(listener, "dns")


async def test_a_look_up_that_hangs_costs_one_thread_and_no_exit(
    clock: VenueClock, monkeypatch: pytest.MonkeyPatch
) -> None:

    release = threading.Event()
    calls: list[object] = []

    def hang(*args: object, **kwargs: object) -> object:
        calls.append(args)
        release.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        async with listening(
            "wss://fstream.example.org/market", clock, ["BTCUSDT"], handshake_wall=0.3
        ) as listener:
            await _failed(listener, "timeout", 3)
            assert len(calls) == 1
            threads = [one for one in threading.enumerate() if one.name == "marketd-dns"]
            assert [one.daemon for one in threads] == [True]
    finally:
        release.set()
