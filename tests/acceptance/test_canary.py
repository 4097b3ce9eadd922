"""H14: every secret has a word in it that stands nowhere else; it is looked for in all that is said while things fail.

The proxy wants another password, the node refuses its key and repeats it, targets of alerts refuse what they are sent,
the database knows another password, and every setting is once written wrongly: by the environment and by files.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from src.config.describe import secret_names
from tests.acceptance.test_cli import marketd
from tests.faults.database import ask
from tests.support.connectproxy import ConnectMode, ConnectProxy
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.roles import PASSWORD, separate_roles

BIRD = "kanari"
"""In every secret; the user of the proxy has two letters, so that base64 of user and password shows it too."""
SHOWN = re.compile(f"{BIRD}|a2FuYXJp", re.IGNORECASE)
_SOON_S = 120.0
_OUTSIDE = "https://venue.example.org"
_POOL = "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640"
_CROSSED = """
WITH stored AS (
    INSERT INTO market_data.candles_1m (
        exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,
        taker_buy_quote_volume, is_closed, source, authority
    )
    VALUES ('binance_futures_um', 'BTCUSDT', date_trunc('minute', now()) - interval '5 minutes', 110, 110, 110, 110, 1,
            110, 1, 1, 110, true, 'test', 1)
)
INSERT INTO market_data.alerts (exchange, symbol, price, direction, target, watermark, last_close)
SELECT 'binance_futures_um', 'BTCUSDT', 100, 'short', target, date_trunc('minute', now()) - interval '9 minutes', 90
FROM unnest(ARRAY['refuses', 'busy', 'away', 'gone']) AS target
RETURNING 1
"""
_ERRORS = "SELECT target, error FROM market_data.alert_events WHERE error <> '' ORDER BY target"


def secret(name: str) -> str:
    return f"{BIRD}envogel-{name}-{'0' * 43}"


@dataclass(slots=True)
class World:
    """What fails around the daemon. ``node_keys`` and ``hooks`` are the paths that were asked for."""

    proxy: ConnectProxy
    url: str = ""
    node_keys: list[str] = field(default_factory=list)
    hooks: list[str] = field(default_factory=list)

    async def node(self, request: web.Request) -> web.Response:
        """As some providers do, it repeats the key that it does not like."""
        self.node_keys.append(request.path)
        asked = await request.json()
        error = {"code": -32600, "message": f"project {request.path} ({secret('node')}) is suspended"}
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "error": error})

    async def hook(self, request: web.Request) -> web.Response:
        self.hooks.append(request.path)
        busy = request.path.startswith("/busy")
        return web.Response(status=503 if busy else 403, text=f"no: {request.url}")

    def settings(self, tokens: Path) -> dict[str, str]:
        targets = [
            f"{name}={self.url}/{name}/{secret(name)}?key={secret('key')}" for name in ("refuses", "busy")
        ]
        targets.append(f"away=http://127.0.0.1:9/{secret('away')}")
        return {
            **dict.fromkeys(
                ("BINANCE_REST_URL", "BINANCE_ARCHIVE_URL", "BINANCE_ARCHIVE_LIST_URL", "BINANCE_ALPHA_URL"),
                _OUTSIDE,
            ),
            "BINANCE_WS_URL": "wss://venue.example.org/market",
            "HTTP_PROXY": self.proxy.url.replace("//", f"//me:{secret('proxy')}@"),
            "ETH_RPC_URL": f"{self.url}/v3/{secret('node')}",
            "UNISWAP_POOLS": _POOL,
            "ALERT_TARGETS": ",".join(targets),
            "ALERT_SECRET": secret("signing"),
            "METRICS_TOKEN": secret("metrics"),
            "API_TOKENS_FILE": str(tokens),
            "LOG_LEVEL": "debug",
            "LOG_FORMAT": "json",
        }


@asynccontextmanager
async def failing_world() -> AsyncIterator[World]:
    async with ConnectProxy({443: ("127.0.0.1", 9)}) as proxy:
        proxy.mode = ConnectMode.AUTHENTICATE
        world = World(proxy)
        app = web.Application()
        app.router.add_post("/v3/{key}", world.node)
        app.router.add_post("/{hook}/{key}", world.hook)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            world.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield world
        finally:
            await runner.cleanup()


def given(settings: Mapping[str, str], *, by_files: bool, folder: Path) -> dict[str, str]:
    """The same settings, secrets as files where that is asked for."""
    if not by_files:
        return dict(settings)
    found = {}
    for name, value in settings.items():
        if name in secret_names():
            (folder / name).write_text(f"{value}\n", encoding="utf-8")
            found[f"{name}_FILE"] = str(folder / name)
        else:
            found[name] = value
    assert BIRD not in str(found)
    return found


@pytest.mark.parametrize("by_files", [False, True], ids=["environment", "files"])
async def test_no_secret_is_told_whatever_fails(database: str, tmp_path: Path, by_files: bool) -> None:
    assert BIRD in PASSWORD
    tokens = tmp_path / "tokens"
    tokens.write_text(f"me admin {secret('api')}\n", encoding="utf-8")
    async with failing_world() as world:
        plain = {**world.settings(tokens), **separate_roles(database)}
        plain["DATABASE_OWNER_URL"] = f"postgresql://nobody:{secret('owner')}@127.0.0.1:9/market"
        assert plain.keys() >= set(secret_names()), "every secret setting has the word in it"
        settings = given(plain, by_files=by_files, folder=tmp_path)
        said = await _everything_of_a_daemon(settings, database, world, tmp_path)
        said |= await _everything_of_commands(settings)
        wrong = {**plain, "DATABASE_URL": separate_roles(database)["DATABASE_URL"].replace("-of-", "-not-")}
        said |= await _refused_by_the_database(given(wrong, by_files=by_files, folder=tmp_path), tmp_path)
    said |= await _settings_written_wrongly(by_files=by_files, folder=tmp_path)
    for place, text in said.items():
        found = SHOWN.search(text)
        assert found is None, f"{place}: {text[max(found.start() - 300, 0) : found.end() + 100]}"


async def _everything_of_a_daemon(
    settings: Mapping[str, str], database: str, world: World, folder: Path
) -> dict[str, str]:
    """What it logs and answers while all around it fails; every fault is seen to happen."""
    daemon = Daemon(settings, folder=folder, arguments=("--all",))
    daemon.start()
    try:
        url = await daemon.api_url()
        await ask(database, _CROSSED)
        said = await _told_by_http(url, await _failed_task(url))

        async def all_failed() -> bool:
            told = {target for target, _ in await ask(database, _ERRORS)}
            assert told == {"refuses", "busy", "away", "gone"}
            assert world.proxy.fired["authenticate"] >= 10
            assert any(secret("node") in path for path in world.node_keys)
            assert {path.split("/")[1] for path in world.hooks} == {"refuses", "busy"}
            return True

        await eventually(all_failed, timeout=_SOON_S, message="everything that should fail has failed")
        said |= await _told_by_http(url, "")
        said |= {f"again {path}": (await daemon.get(path))[1] for path in ("/metrics", "/status", "/readyz")}
        token = {"Authorization": f"Bearer {secret('metrics')}"}
        async with aiohttp.ClientSession(headers=token) as session:
            for path in ("/metrics", "/status"):
                async with session.get(f"http://127.0.0.1:{daemon.port}{path}") as answer:
                    assert answer.status == 200
                    said[f"port {path}"] = await answer.text()
        said |= {name: _proc(daemon.child.pid, name) for name in ("cmdline", "status")}
        if "DATABASE_URL_FILE" in settings:
            said["environ"] = _proc(daemon.child.pid, "environ")
        await daemon.stop()
    finally:
        await daemon.kill()
    said["log"] = daemon.child.text()
    return said


async def _failed_task(url: str) -> str:
    """A task that fails at the node; its name."""
    token = {"Authorization": f"Bearer {secret('api')}"}
    span = {"start_ts": "2026-11-01T00:00:00Z", "end_ts": "2026-11-02T00:00:00Z"}
    wish = {"kind": "CollectUniswap", "task_id": "t1", "parameters": {"pool_address": _POOL, **span}}
    async with aiohttp.ClientSession(url, headers=token) as session:
        async with session.post("/api/v1/tasks", json=wish) as answer:
            assert answer.status in (200, 201, 202), await answer.text()

        async def is_over() -> bool:
            async with session.get("/api/v1/tasks/t1") as answer:
                return bool((await answer.json())["state"] == "FAILED")

        await eventually(is_over, timeout=_SOON_S, message="the task fails")
    return "t1"


async def _told_by_http(url: str, task: str) -> dict[str, str]:
    """Every page that needs no more than its path, with the token, without, and with another."""
    said = {}
    for token in (secret("api"), "", secret("wrong")):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with aiohttp.ClientSession(url, headers=headers) as session:
            async with session.get("/openapi.json") as answer:
                paths = list(json.loads(await answer.text()).get("paths", ())) if answer.status == 200 else []
            paths = [path for path in paths if "{" not in path] or ["/api/v1/tasks", "/api/v1/symbols"]
            logs = [f"/api/v1/tasks/{task}", f"/api/v1/tasks/{task}/logs"] if task else []
            for path in (*paths, *logs, "/docs", "/nothing", "/openapi.json"):
                async with session.get(path) as answer:
                    said[f"{token[:20]} GET {path}"] = (
                        f"{answer.status} {answer.headers} {await answer.text()}"
                    )
            async with session.post("/api/v1/tasks", data=b'{"kind": ') as answer:
                said[f"{token[:20]} POST"] = await answer.text()
    assert any(text.startswith("200") for text in said.values())
    assert any(text.startswith("401") for text in said.values())
    return {name.replace(BIRD, "bird"): text for name, text in said.items()}


async def _everything_of_commands(settings: Mapping[str, str]) -> dict[str, str]:
    commands = (
        ("config",),
        ("config", "--json"),
        ("doctor",),
        ("status",),
        ("status", "--json"),
        ("symbols",),
        ("alpha",),
        ("migrate", "--dry-run"),
        ("migrate",),
        ("coverage",),
        ("healthcheck",),
        ("backfill", "--dry-run", "--from", "1d"),
    )
    # Two at a time: each is a process that imports everything.
    places = asyncio.Semaphore(2)

    async def one(command: tuple[str, ...]) -> tuple[str, str]:
        async with places:
            done = await marketd(*command, **settings)
        return " ".join(command), f"{done.code} {done.out} {done.err}"

    said = dict(await asyncio.gather(*map(one, commands)))
    assert sum(not text.startswith("0 ") for text in said.values()) >= 4, "too little failed"
    return said


async def _refused_by_the_database(settings: Mapping[str, str], folder: Path) -> dict[str, str]:
    """With another password than the database knows."""
    daemon = Daemon(settings, folder=folder, arguments=("--all",))
    daemon.start()
    try:
        await eventually(
            lambda: "authentication failed" in daemon.child.text() or daemon.child.exit_code is not None,
            timeout=_SOON_S,
            message="the database refuses the password",
        )
        said = {f"refused {path}": (await daemon.get(path))[1] for path in ("/metrics", "/status", "/readyz")}
    finally:
        await daemon.kill()
    said["refused log"] = daemon.child.text()
    assert "authentication failed" in said["refused log"]
    for command in ("doctor", "status", "migrate"):
        done = await marketd(command, **settings)
        said[f"refused {command}"] = f"{done.out} {done.err}"
    return said


async def _settings_written_wrongly(*, by_files: bool, folder: Path) -> dict[str, str]:
    """Each secret in a way that is not taken: the message must not repeat it."""
    wrong = {
        "DATABASE_URL": f"mysql://me:{secret('db')}@h/db",
        "DATABASE_OWNER_URL": f"postgresql://me:{secret('db')}@h",
        "DATABASE_READER_URL": f"postgresql+psycopg://me:{secret('db')}@h/db",
        "HTTP_PROXY": f"ftp://me:{secret('proxy')}@h:1",
        "ETH_RPC_URL": f"http://node.example.org/v3/{secret('node')}",
        "ALERT_TARGETS": f"phone=http://hooks.example.org/{secret('hook')},{secret('none')}",
        "ALERT_SECRET": BIRD,
        "METRICS_TOKEN": BIRD,
    }
    assert wrong.keys() == set(secret_names())
    tokens = folder / "wrong tokens"
    tokens.write_text(f"me {secret('api')} admin\n", encoding="utf-8")
    said = {}
    for command in (("config",), ("--ws",)):
        done = await marketd(*command, **given(wrong, by_files=by_files, folder=folder))
        assert all(name in done.err for name in wrong), done.err
        said[f"wrong {command[0]}"] = f"{done.out} {done.err}"
    done = await marketd(
        "serve", API_TOKENS_FILE=str(tokens), DATABASE_URL="postgresql://h/db", METRICS_PORT="0"
    )
    assert "API_TOKENS_FILE" in f"{done.out} {done.err}"
    said["wrong tokens"] = f"{done.out} {done.err}"
    return said


def _proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
