"""A target of alerts on a real socket: answers as it is told, and keeps what it was sent."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from aiohttp import web


class Receiver:
    """``statuses`` are its next answers, ``status`` those after them."""

    def __init__(self) -> None:
        self.status = 204
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append((dict(request.headers), await request.read()))
        status = self.statuses.pop(0) if self.statuses else self.status
        return web.Response(status=status, headers=self.headers)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port of 127.0.0.1."""
    found = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook?key=secret"
        yield found
    finally:
        await runner.cleanup()


def signed(secret: str, headers: dict[str, str], body: bytes) -> str:
    """The signature that a target expects, by the words of docs/adr/0052-alerts.md."""
    told = headers["X-Marketd-Timestamp"].encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), told, sha256).hexdigest()
