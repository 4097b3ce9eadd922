"""The proxy that is set: everything but loopback goes through it, and nothing ever round it."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from src.adapters.binance.rest.client import BinanceRest, RestOptions
from src.adapters.binance.stream.options import StreamOptions
from src.adapters.rate_limiter import RateLimiter
from src.clock import VenueClock
from src.errors import Unavailable
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox
from src.telemetry.metrics import Metrics
from tests.support.connectproxy import ConnectMode, ConnectProxy, Trap
from tests.support.raw_http import answer, raw_http

# Not loopback by name, but this machine: whoever connects directly meets the trap.
ELSEWHERE = "0.0.0.0"  # noqa: S104


@asynccontextmanager
async def rest_at(url: str, proxy: str | None, *, timeout: float = 60.0) -> AsyncIterator[BinanceRest]:
    clock, metrics = VenueClock(), Metrics()
    options = RestOptions(
        base_url=url, proxy=proxy, timeout=timeout, attempts=2, backoff_base=0.01, backoff_cap=0.01
    )
    rest = BinanceRest(options, RateLimiter(clock, metrics), clock, metrics)
    await rest.open()
    try:
        yield rest
    finally:
        await rest.close()


async def test_a_venue_that_is_not_loopback_is_reached_through_the_proxy_and_its_certificate_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Sandbox(SandboxOptions(symbols=5, tls=True)) as sandbox, Trap() as trap:
        monkeypatch.setenv("SSL_CERT_FILE", str(sandbox.ca_file))
        url = f"https://localhost.localdomain:{trap.port}"
        async with ConnectProxy({trap.port: ("127.0.0.1", sandbox.port)}) as proxy:
            async with rest_at(url, proxy.url) as rest:
                # The tunnel arrives; the certificate is for another name, and that is not overlooked.
                with pytest.raises(Unavailable) as caught:
                    await rest.server_time()
            assert caught.value.reason == "tls"
            assert proxy.fired["tunnels"] == 2
        assert trap.caught == 0


@pytest.mark.parametrize(
    ("mode", "reason", "timeout"),
    [(ConnectMode.AUTHENTICATE, "proxy", 60.0), (ConnectMode.HANG, "timeout", 1.0)],
)
async def test_a_failing_proxy_is_never_bypassed(mode: ConnectMode, reason: str, timeout: float) -> None:
    async with Trap() as trap, ConnectProxy({trap.port: ("127.0.0.1", trap.port)}) as proxy:
        proxy.mode = mode
        secret = proxy.url.replace("//", "//user:pa55word@")
        async with rest_at(f"https://{ELSEWHERE}:{trap.port}", secret, timeout=timeout) as rest:
            with pytest.raises(Unavailable) as caught:
                await rest.server_time()
        assert caught.value.reason == reason
        assert "pa55word" not in "".join(traceback.format_exception(caught.value))
        assert proxy.fired[mode.value] == 2
        assert trap.caught == 0


@pytest.mark.parametrize("options", [RestOptions, StreamOptions])
def test_the_options_do_not_show_the_proxy(options: type[RestOptions | StreamOptions]) -> None:
    assert "pa55word" not in repr(options(proxy="http://user:pa55word@h:1"))


async def test_a_dead_proxy_is_never_bypassed() -> None:
    async with Trap() as trap:
        async with ConnectProxy({}) as proxy:
            pass
        async with rest_at(f"https://{ELSEWHERE}:{trap.port}", proxy.url) as rest:
            with pytest.raises(Unavailable) as caught:
                await rest.server_time()
        assert caught.value.reason == "proxy"
        assert trap.caught == 0


async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ConnectProxy({}) as proxy, Trap() as trap:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with rest_at(f"https://{ELSEWHERE}:{trap.port}", None) as rest:
            with pytest.raises(Unavailable):
                await rest.server_time()
        assert trap.caught == 2
        assert not proxy.asked


async def test_loopback_never_goes_through_the_proxy() -> None:
    async with ConnectProxy({}) as proxy, raw_http(always=answer({"serverTime": 1_800_000_000_000})) as http:
        async with rest_at(http.url, proxy.url) as rest:
            assert await rest.server_time() == pytest.approx(1_800_000_000, abs=5)
        assert not proxy.asked
