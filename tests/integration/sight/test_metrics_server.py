from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from src.adapters.http_guard import ConnectionGuard
from src.adapters.metrics import MetricsServer
from src.adapters.rate_limiter import RateLimiter
from src.adapters.status import RunInfo
from src.clock import VenueClock
from src.errors import AlreadyRunning, ConfigError
from src.telemetry.health import Health
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.fakes import StepClock
from tests.support.processes import free_port, port_of, reserved_port

TOKEN = "correct-horse-battery"


class Running:
    """A server on a free port, with the parts it shows."""

    def __init__(self, host: str = "127.0.0.1", token: str | None = None, port: int = 0) -> None:
        self.metrics, self.health, self.clock = Metrics(), Health(), StepClock()
        info = RunInfo("run1", "1.2.3", time.time(), ("ws",))
        self.limiter = RateLimiter(self.clock, self.metrics)
        self.server = MetricsServer(
            self.metrics,
            self.health,
            self.clock,
            info,
            host=host,
            port=port,
            token=token,
            budget=self.limiter.view,
        )

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.port}{path}"

    def make_ready(self) -> None:
        self.health.database_writable = True
        self.health.newest_candle_close = self.clock.now()


@asynccontextmanager
async def running(host: str = "127.0.0.1", token: str | None = None, port: int = 0) -> AsyncIterator[Running]:
    it = Running(host, token, port)
    it.server.prepare()
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(it.server.run(), name="metrics-server")
            yield it
            task.cancel()
    finally:
        await it.server.close()


async def get(url: str, **headers: str) -> tuple[int, str, Mapping[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession() as session, session.get(url, headers=named) as response:
        return response.status, await response.text(), response.headers


async def raw(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_readyz_follows_health_and_says_why() -> None:
    async with running() as it:
        status, text, _ = await get(it.url("/readyz"))
        assert status == 503
        assert "database not writable" in text
        it.make_ready()
        assert (await get(it.url("/readyz")))[:2] == (200, '{"ready":true,"reasons":[]}')
        it.health.newest_candle_close -= 91
        status, text, _ = await get(it.url("/readyz"))
        assert status == 503
        assert "91 s old" in text


async def test_healthz_answers_while_not_ready() -> None:
    async with running() as it:
        assert (await get(it.url("/healthz")))[:2] == (200, '{"alive":true}')


async def test_metrics_page_passes_promtool() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    async with running() as it:
        it.metrics.enable_symbol_gauge().labels("币安人生USDT").set(1)
        for family in vars(it.metrics).values():
            # A family without a series is not on the page, and promtool would not see it.
            if names := getattr(family, "_labelnames", ()):
                family.labels(*("x" for _ in names))
        status, text, headers = await get(it.url("/metrics"))
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    assert "marketd_build_info" in text
    assert "process_resident_memory_bytes" in text
    done = await asyncio.to_thread(
        subprocess.run,
        [promtool, "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


async def test_status_shows_the_run() -> None:
    async with running() as it:
        it.make_ready()
        it.metrics.symbols_expected.set(740)
        it.metrics.ws_connections.labels("live").set(4)
        it.metrics.rows_committed.labels("binance_ws", "inserted").inc(7)
        it.metrics.rows_committed.labels("binance_rest", "inserted").inc(3)
        async with aiohttp.ClientSession() as session, session.get(it.url("/status")) as response:
            status: dict[str, Any] = await response.json()
    assert (status["run_id"], status["version"], status["runs"]) == ("run1", "1.2.3", ["ws"])
    assert status["ready"] is True
    assert status["symbols"]["expected"] == 740
    assert status["connections"] == {"live": 4}
    assert status["rows"]["committed"] == 10
    assert status["budget"]["limit"] == 1800
    assert status["budget"]["ban_until"] is None
    assert 0 <= status["data"]["age_seconds"] < 90
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", status["since"])


async def test_port_in_use_is_told_by_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = MetricsServer(
            Metrics(), Health(), VenueClock(), RunInfo("r", "v", 0.0), host="127.0.0.1", port=port
        )
        with pytest.raises(ConfigError, match=f"METRICS_PORT: port {port} on 127.0.0.1 is in use"):
            server.prepare()
        await server.close()


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_a_foreign_address_is_a_configuration_error(host: str) -> None:
    server = MetricsServer(Metrics(), Health(), VenueClock(), RunInfo("r", "v", 0.0), host=host, port=0)
    with pytest.raises(ConfigError, match="METRICS_HOST"):
        server.prepare()


async def test_only_loopback_names_reach_a_loopback_server() -> None:
    async with running() as it:
        for name in ("127.0.0.1:1", "localhost", "[::1]:9108"):
            assert (await get(it.url("/healthz"), Host=name))[0] == 200, name
        for name in ("evil.example", "evil.example:9108", "127.0.0.1.evil.example"):
            assert (await get(it.url("/metrics"), Host=name))[0] == 403, name


async def test_token_guards_metrics_and_status_and_hides_reasons() -> None:
    async with running(token=TOKEN) as it:
        for path in ("/metrics", "/status"):
            assert (await get(it.url(path)))[0] == 401
            assert (await get(it.url(path), Authorization=f"Bearer {TOKEN}x"))[0] == 401
            assert (await get(it.url(path), Authorization="Bearer 币"))[0] == 401
            assert (await get(it.url(path), Authorization=f"Bearer {TOKEN}"))[0] == 200
        assert (await get(it.url("/readyz")))[:2] == (503, '{"ready":false}')
        assert "database" in (await get(it.url("/readyz"), Authorization=f"Bearer {TOKEN}"))[1]


async def test_no_answer_says_what_serves_it() -> None:
    async with running() as it:
        it.make_ready()
        for path in ("/healthz", "/nothing"):
            assert (await get(it.url(path)))[2]["Server"] == "marketd"
        long_line = b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        answer = await raw(it.server.port, long_line)
    assert b" 400 " in answer.splitlines()[0]
    assert b"Server: marketd\r\n" in answer
    assert b"aaa" not in answer
    assert b"aiohttp" not in answer


async def test_a_fault_inside_is_not_shown_to_the_client() -> None:
    async with running() as it:

        def broken() -> float:
            raise ValueError("inner workings")

        it.metrics.buffer_rows.set_function(broken)
        for path in ("/metrics", "/status"):
            status, text, headers = await get(it.url(path))
            assert (status, text) == (500, "500\n")
            assert headers["Server"] == "marketd"
        assert (await get(it.url("/healthz")))[0] == 200


async def test_the_port_is_free_again_after_the_run() -> None:
    with reserved_port() as held:
        async with running(port=port_of(held)):
            pass
        with socket.create_server(held.getsockname()):
            pass


async def test_dripping_and_idle_clients_are_cut_off_while_a_working_one_stays() -> None:
    async def answer(request: aiohttp.web.BaseRequest) -> aiohttp.web.Response:
        guard.completed(request)
        return aiohttp.web.Response(text="ok")

    web_server = aiohttp.web.Server(answer)
    guard = ConnectionGuard(web_server, max_idle=2.0)
    server = await asyncio.get_running_loop().create_server(guard.protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    watch = asyncio.create_task(guard.run(), name="guard")
    try:
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        drip_reader, drip_writer = await asyncio.open_connection("127.0.0.1", port)
        drip_writer.write(b"GET / HTTP/1.1\r\nHost: loc")
        async with aiohttp.ClientSession() as session:

            async def ask() -> None:
                async with session.get(f"http://127.0.0.1:{port}/") as response:
                    assert await response.text() == "ok"

            ended = asyncio.gather(idle_reader.read(), drip_reader.read())
            while not ended.done():
                await ask()
                await asyncio.wait([ended], timeout=0.2)
            assert list(ended.result()) == [b"", b""]
            await ask()
        for writer in (idle_writer, drip_writer):
            writer.close()
            await writer.wait_closed()
    finally:
        watch.cancel()
        server.close()
        await web_server.shutdown(1)


async def test_a_flood_of_connections_is_capped_and_service_returns_after_it() -> None:
    async with running() as it:
        flood = [await asyncio.open_connection("127.0.0.1", it.server.port) for _ in range(100)]
        ends = [asyncio.create_task(reader.read(1), name="end") for reader, _ in flood]
        await eventually(lambda: sum(end.done() for end in ends) >= 36)
        for _, writer in flood:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in flood), return_exceptions=True)
        await asyncio.gather(*ends, return_exceptions=True)

        async def answers() -> object:
            try:
                return (await get(it.url("/healthz")))[0] == 200
            except aiohttp.ClientError:
                return False

        await eventually(answers)


@pytest.mark.parametrize(("second", "named"), [(TOKEN, "pid {}"), (None, "pid not told")])
async def test_a_port_that_another_marketd_has_names_it(second: str | None, named: str) -> None:
    async with running(token=TOKEN) as first:
        other = Running(token=second, port=first.server.port)
        with pytest.raises(AlreadyRunning, match=named.format(os.getpid())):
            await asyncio.to_thread(other.server.prepare)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n", b"SSH-2.0-x\r\n"])
async def test_a_port_that_something_else_has_is_a_wrong_setting_and_gets_no_token(answer: bytes) -> None:
    asked: list[bytes] = []

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(stranger, "127.0.0.1", 0) as server:
        other = Running(token=TOKEN, port=server.sockets[0].getsockname()[1])
        with pytest.raises(ConfigError, match="in use by another program"):
            await asyncio.to_thread(other.server.prepare)
    assert len(asked) == 1 and TOKEN.encode() not in asked[0]


async def test_a_port_that_is_let_go_is_taken() -> None:
    async with running(port=free_port()) as first:
        other = Running(port=first.server.port)
        waiting = asyncio.create_task(other.server.wait_for_port(every=0.01))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(other.server.taken.wait(), 0.1)
    await asyncio.wait_for(waiting, 60)
    assert other.server.taken.is_set()
    await other.server.close()
