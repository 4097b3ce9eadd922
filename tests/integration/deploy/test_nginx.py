"""The example for nginx: right by `nginx -t`, and in front of a real API it lets through what it should."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex

import aiohttp
import grpc
import grpc.aio
import pytest

from src.api.protos import task_pb2, task_pb2_grpc
from tests.support.certificates import Authority
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.processes import ROOT, free_port

pytestmark = pytest.mark.skipif(
    shutil.which("nginx") is None and not Path("/usr/sbin/nginx").exists(),
    reason="nginx is missing: apt-get install nginx-light",
)

_EXAMPLE = ROOT / "deploy" / "nginx" / "marketd.conf"
_TOKEN = token_hex(32)
_NAME = "market.example.org"
_USER = "user root;" if os.geteuid() == 0 else ""
"""Who may read the test's folder."""
_AROUND = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/marketd.conf;
}}
"""


class Nginx:
    """nginx with the example, on ports of its own; ``url`` is where it answers with TLS, ``plain`` without."""

    def __init__(self, folder: Path, *, api: int, calls: int) -> None:
        self.folder = folder
        self.authority = Authority(folder, "authority")
        plain, secure = free_port(), free_port()
        self.plain, self.secure = f"http://127.0.0.1:{plain}", f"127.0.0.1:{secure}"
        certificate = self.authority.issue("127.0.0.1")
        text = re.sub(r"^ +listen \[::\].*\n", "", _EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for found, wanted in (
            (r"127\.0\.0\.1:8000", f"127.0.0.1:{api}"),
            (r"127\.0\.0\.1:50052", f"127.0.0.1:{calls}"),
            (r"listen 80;", f"listen 127.0.0.1:{plain};"),
            (r"listen 443 ", f"listen 127.0.0.1:{secure} "),
            (r"/etc/letsencrypt/live/[a-z./]*fullchain\.pem", str(certificate)),
            (r"/etc/letsencrypt/live/[a-z./]*privkey\.pem", str(certificate)),
        ):
            text, number = re.subn(found, wanted, text)
            assert number == 1, found
        (folder / "marketd.conf").write_text(text, encoding="utf-8")
        (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, user=_USER), encoding="utf-8")

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        return await asyncio.create_subprocess_exec(
            program,
            *("-p", str(self.folder), "-c", "nginx.conf", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        process = await self.start()
        try:
            yield
        finally:
            process.terminate()
            await process.communicate()

    @asynccontextmanager
    async def session(self, *, token: str = _TOKEN) -> AsyncIterator[aiohttp.ClientSession]:
        """Requests under the public name, with TLS that is verified."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        headers = {"Host": _NAME, **({"Authorization": f"Bearer {token}"} if token else {})}
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(
            f"https://{self.secure}", connector=connector, headers=headers
        ) as session:
            yield session


async def test_nginx_finds_no_mistake_in_it(tmp_path: Path) -> None:
    process = await Nginx(tmp_path, api=8000, calls=50052).start("-t")
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    assert b"warn" not in told, told.decode()


async def test_the_api_the_feed_and_grpc_answer_through_it(tmp_path: Path, database: str) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"me admin {_TOKEN}\n", encoding="utf-8")
    settings = {"DATABASE_URL": database, "API_TOKENS_FILE": str(tokens), "API_ALLOWED_HOSTS": _NAME}
    daemon = Daemon(settings, folder=tmp_path, arguments=("serve",))
    daemon.start()
    try:
        await daemon.wait_ready()
        api = int((await daemon.api_url()).rpartition(":")[2])
        nginx = Nginx(tmp_path, api=api, calls=await _port_of_grpc(daemon))
        async with nginx.running():
            await eventually(lambda: (tmp_path / "nginx.pid").exists(), message="nginx is up")
            await _http_answers(nginx)
            await _the_feed_answers(nginx)
            await _grpc_answers(nginx)
        await daemon.stop()
    finally:
        await daemon.kill()


async def _port_of_grpc(daemon: Daemon) -> int:
    """The system chose it, and the log says it."""
    pattern = re.compile(r'"grpc_listening".*"port":(\d+)')
    await eventually(lambda: pattern.search(daemon.child.text()), message="the port is in the log")
    return int(pattern.findall(daemon.child.text())[-1])


async def _http_answers(nginx: Nginx) -> None:
    async with nginx.session() as session:
        async with session.get("/api/v1/tasks") as answer:
            assert answer.status == 200
            assert answer.headers["Strict-Transport-Security"]
        async with session.post("/api/v1/tasks", data=b"x" * 100_000) as answer:
            assert answer.status == 413
        async with session.get("/api/v1/tasks", headers={"Host": "elsewhere.example.org"}) as answer:
            assert answer.status == 421, "marketd sees the name that was asked for"
    async with nginx.session(token="") as session, session.get("/api/v1/tasks") as answer:
        assert answer.status == 401, "coming through nginx is no reason to be let in"
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{nginx.plain}/docs", headers={"Host": _NAME}, allow_redirects=False) as answer,
    ):
        assert (answer.status, answer.headers["Location"]) == (308, f"https://{_NAME}/docs")


async def _the_feed_answers(nginx: Nginx) -> None:
    async with nginx.session() as session, session.ws_connect("/api/v1/live") as feed:
        assert (await feed.receive_json())["type"] == "hello"


async def _grpc_answers(nginx: Nginx) -> None:
    credentials = grpc.ssl_channel_credentials(nginx.authority.file.read_bytes())
    async with grpc.aio.secure_channel(nginx.secure, credentials) as channel:
        stub = task_pb2_grpc.TaskServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetTask(task_pb2.GetTaskRequest(task_id="nobody"))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await stub.GetTask(
                task_pb2.GetTaskRequest(task_id="nobody"),
                metadata=(("authorization", f"Bearer {_TOKEN}"),),
            )
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
