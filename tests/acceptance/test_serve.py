"""``marketd serve`` and ``--api`` as whole processes: who may ask, what is refused, what is told live."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from src.errors import EXIT_CONFIG
from src.sandbox import Sandbox, SandboxOptions
from tests.faults.database import ask
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.roles import PASSWORD, separate_roles
from tests.support.venue import history_settings

OLD, NEW = "hushhush-old-" + "o" * 32, "hushhush-new-" + "n" * 32
SPEED = 20
_SOON_S = 60.0
AWAY = "postgresql://marketd:hushhush-password@127.0.0.1:9/market"


@asynccontextmanager
async def running(
    settings: Mapping[str, str], folder: Path, *arguments: str
) -> AsyncIterator[tuple[Daemon, str]]:
    """A daemon that is ready, with the URL of its API; stopped at the end, and what it logged looked at."""
    daemon = Daemon(settings, folder=folder, arguments=arguments)
    daemon.start()
    try:
        await daemon.wait_ready()
        yield daemon, await daemon.api_url() if {"serve", "--api"} & set(arguments) else ""
        await daemon.stop()
    finally:
        await daemon.kill()


def _proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")


async def get(url: str, *, token: str = "", **headers: str) -> tuple[int, str]:
    """Status and text of one GET."""
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as session, session.get(url, headers={**bearer, **headers}) as answer:
        return answer.status, await answer.text()


async def test_it_serves_alone_and_reads_its_tokens_again(database: str, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"me admin {OLD}\n")
    settings = {
        **separate_roles(database),
        "API_TOKENS_FILE": str(tokens),
        "ALERT_TARGETS": "phone=https://127.0.0.1:9/hushhush-hook",
        "ALERT_SECRET": "hushhush" * 5,
        "LOG_LEVEL": "debug",
    }
    async with running(settings, tmp_path, "serve") as (daemon, url):
        assert await get(f"{url}/health") == (200, '{"status":"ok","version":""}')
        assert (await get(f"{url}/readyz"))[0] == 200
        assert (await get(f"{url}/api/v1/nothing"))[0] == 401
        assert (await get(f"{url}/api/v1/nothing", token=OLD))[0] == 404
        assert (await get(f"{url}/api/v1/nothing", token=NEW))[0] == 401
        pid = daemon.child.pid

        async with _listening(url, OLD) as feed:
            tokens.write_text("me admin short\n")
            daemon.child.signal(signal.SIGHUP)
            await eventually(lambda: "reload_refused" in daemon.child.text(), timeout=_SOON_S)
            assert (await get(f"{url}/api/v1/nothing", token=OLD))[0] == 404

            tokens.write_text(f"me admin {NEW}\n")
            daemon.child.signal(signal.SIGHUP)
            await eventually(lambda: "tokens_read" in daemon.child.text(), timeout=_SOON_S)
            assert (await get(f"{url}/api/v1/nothing", token=NEW))[0] == 404
            assert (await get(f"{url}/api/v1/nothing", token=OLD))[0] == 401
            assert daemon.child.pid == pid
            async with asyncio.timeout(_SOON_S):  # aiohttp's own begins anew with each ping
                ended = await feed.receive()  # who listened with the old token is sent away
            assert ended.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        shown = [(await get(f"{url}{path}", token=NEW))[1] for path in ("/openapi.json", "/docs", "/health")]
        shown += [(await daemon.get(path))[1] for path in ("/metrics", "/status")]
        for text in (*shown, _proc(pid, "cmdline"), daemon.child.text()):  # H14
            assert "hushhush" not in text
            assert PASSWORD not in text
        assert re.search(r"^Max core file size +0 +0 ", _proc(pid, "limits"), re.MULTILINE)
    assert await ask(database, "SELECT role, clean FROM market_data.daemon_runs") == [("api", True)]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"API_HOST": "0.0.0.0"}, "API_TOKENS_FILE"),  # noqa: S104 - that is what must not pass
        ({"API_HOST": "::"}, "API_TOKENS_FILE"),
        ({"API_TOKENS_FILE": "/nowhere"}, "cannot be read"),
        ({"API_HOST": "no.such.host.invalid", "API_TOKENS_FILE": "TOKENS"}, "API_HOST"),
        ({"API_PORT": "TAKEN"}, "API_PORT"),
    ],
)
async def test_what_must_not_be_served_so_ends_with_78(
    settings: dict[str, str], named: str, tmp_path: Path
) -> None:
    """H9, and G5: before the database, which is not even there."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"me admin {OLD}\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        known = {"TAKEN": str(taken.getsockname()[1]), "TOKENS": str(tokens)}
        settings = {name: known.get(value, value) for name, value in settings.items()}
        daemon = Daemon({"DATABASE_URL": AWAY, **settings}, folder=tmp_path, arguments=("serve",))
        daemon.start()
        try:
            assert await daemon.child.wait(within=60) == EXIT_CONFIG, daemon.child.tail()
        finally:
            await daemon.kill()
    text = daemon.child.text()
    assert named in text
    assert "hushhush" not in text
    assert ("api_exposed" in text) == (settings.keys() >= {"API_HOST", "API_TOKENS_FILE"})


@pytest.mark.parametrize("beside", [True, False], ids=["beside the writer", "alone"])
async def test_closed_candles_are_told(database: str, tmp_path: Path, beside: bool) -> None:
    """By the process that stores them, and by one that only sees them in the database."""
    async with AsyncExitStack() as stack:
        options = SandboxOptions(symbols=4, speed=SPEED, sleeper_share=0.0)
        sandbox = await stack.enter_async_context(Sandbox(options))
        settings = {
            **separate_roles(database),
            "BINANCE_REST_URL": sandbox.rest_url,
            "BINANCE_WS_URL": sandbox.ws_url,
            **history_settings(sandbox.rest_url),
        }
        collecting = ("--ws", *(["--api"] if beside else []), "--speed", str(SPEED))
        serving = await stack.enter_async_context(running(settings, tmp_path, *collecting))
        if not beside:
            serving = await stack.enter_async_context(running(separate_roles(database), tmp_path, "serve"))
        daemon, url = serving
        # Those of one symbol may come first: the minutes before its start are filled symbol by symbol.
        one = await _heard(url, "*", until=lambda rows: len(_symbols(rows)) == 4)
        symbol = str(one[0]["symbol"])
        assert _symbols(await _heard(url, [symbol], until=lambda rows: len(rows) >= 2)) == {symbol}
        assert (await daemon.metrics()).total("feed_frames_total") >= 2
        stored = await ask(
            database,
            "SELECT symbol, (extract(epoch FROM bucket_ts) * 1000)::bigint, close FROM market_data.candles_1m",
        )
        assert {(row["symbol"], row["open_time"], row["close"]) for row in one} <= set(stored)


@asynccontextmanager
async def _listening(url: str, token: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A listener of the feed that was let in."""
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.ws_connect(f"{url}/api/v1/live") as feed,
    ):
        assert (await feed.receive_json(timeout=_SOON_S))["type"] == "hello"
        yield feed


Rows = list[dict[str, Any]]


def _symbols(rows: Rows) -> set[str]:
    return {row["symbol"] for row in rows}


async def _heard(url: str, candles: object, *, until: Callable[[Rows], bool]) -> Rows:
    """The first candles that a listener hears."""
    rows: Rows = []
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/api/v1/live") as feed:
        columns = (await feed.receive_json(timeout=_SOON_S))["columns"]
        await feed.send_json({"subscribe": {"candles": candles}})
        assert (await feed.receive_json(timeout=_SOON_S))["type"] == "subscribed"
        while not until(rows):
            live = await feed.receive_json(timeout=_SOON_S)
            rows += [dict(zip(columns, row, strict=True)) for row in live.get("candles", ())]
    return rows
