"""``marketd doctor`` and the ways out: a real sandbox behind real proxies, there, wrong, and away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from src.cli.health.checkup_ways import check_archive, check_proxy, check_stream
from src.config import Settings
from src.sandbox import Sandbox, SandboxOptions
from tests.support.connectproxy import ConnectMode, ConnectProxy
from tests.support.processes import free_port


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions(symbols=3)) as opened:
        yield opened


async def test_the_stream_is_reached_or_not(sandbox: Sandbox) -> None:
    (finding,) = await check_stream(Settings(binance_ws_url=sandbox.ws_url))
    assert finding.state == "ok", finding
    sandbox.control.handshake(403)
    (finding,) = await check_stream(Settings(binance_ws_url=sandbox.ws_url))
    assert (finding.state, "403" in finding.text, "BINANCE_WS_URL" in finding.advice) == ("bad", True, True)
    await _hung_up()
    (finding,) = await check_stream(Settings(binance_ws_url=f"ws://127.0.0.1:{free_port()}/market"))
    assert (finding.subject, finding.state) == ("stream", "bad")


async def test_a_proxy_that_wants_an_account(sandbox: Sandbox) -> None:
    """The venue is not on loopback here, so it is asked through the proxy and by no other way."""
    async with ConnectProxy({443: ("127.0.0.1", 9)}) as proxy:
        proxy.mode = ConnectMode.AUTHENTICATE
        settings = Settings(http_proxy=proxy.url, binance_ws_url="wss://venue.test/market")
        (finding,) = await check_stream(settings)
        assert (finding.state, "HTTP_PROXY" in finding.advice) == ("bad", True), finding
        assert proxy.fired["authenticate"] == 1
        (finding,) = await check_proxy(settings)
        assert (finding.state, "takes connections" in finding.text) == ("ok", True)


async def test_a_proxy_that_is_away_or_not_used() -> None:
    assert await check_proxy(Settings()) == []
    port = free_port()
    secret = Settings(http_proxy=f"http://somebody:hunter2@127.0.0.1:{port}")
    (finding,) = await check_proxy(secret)
    assert (finding.state, f"127.0.0.1:{port}" in finding.text) == ("bad", True)
    assert "hunter2" not in finding.text + finding.advice
    async with ConnectProxy({}) as proxy:
        (finding,) = await check_proxy(Settings(http_proxy=proxy.url, binance_rest_url="http://127.0.0.1:1"))
        assert "is not used for loopback" in finding.text


async def test_the_archive_answers_or_not(sandbox: Sandbox) -> None:
    url = f"{sandbox.rest_url}/archive-list"
    (finding,) = await check_archive(Settings(binance_archive_list_url=url))
    assert finding.state == "ok", finding
    sandbox.control.archive("s3_error", path="archive-list")
    (finding,) = await check_archive(Settings(binance_archive_list_url=url))
    assert (finding.state, "503" in finding.text) == ("warning", True)
    away = f"http://127.0.0.1:{free_port()}/"
    (finding,) = await check_archive(Settings(binance_archive_list_url=away))
    assert (finding.state, "BINANCE_ARCHIVE_LIST_URL" in finding.advice) == ("warning", True)


async def _hung_up() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        (finding,) = await check_stream(Settings(binance_ws_url=f"ws://127.0.0.1:{port}/market"))
    assert (finding.subject, finding.state) == ("stream", "bad"), finding
