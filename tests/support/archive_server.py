"""A small archive on loopback for tests of the client alone: objects, checksums, listing, misfortunes."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from .eventually import eventually

Misfortune = Callable[[web.Request], web.StreamResponse | None]


@dataclass
class ArchiveServer:
    """``objects`` by path; ``misfortune`` may answer instead; ``cut_after`` ends every file after so many bytes.

    The cut waits for ``cut_when``, so that a test knows what the client has by then.
    """

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    misfortune: Misfortune | None = None
    cut_after: int | None = None
    cut_when: Callable[[], bool] = lambda: True
    page_keys: int = 1000
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range header of every request."""

    def put(self, path: str, content: bytes, *, checksum: str | None = None) -> None:
        """An object with its checksum file."""
        digest = checksum or hashlib.sha256(content).hexdigest()
        self.objects[path] = content
        self.objects[f"{path}.CHECKSUM"] = f"{digest}  {path.rpartition('/')[2]}\n".encode()

    def requests(self, path: str) -> list[str]:
        """The Range headers with which ``path`` was asked for, in order; empty where there was none."""
        return [found for asked, found in self.asked if asked == path]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/archive/")
        self.asked.append((path, request.headers.get("Range", "")))
        if self.misfortune and (response := self.misfortune(request)) is not None:
            return response
        if request.path == "/list":
            return web.Response(body=self._page(request).encode(), content_type="application/xml")
        if path not in self.objects:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        return await self._object(request, self.objects[path])

    async def _object(self, request: web.Request, content: bytes) -> web.StreamResponse:
        tag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        wanted = request.http_range
        resumed = wanted.start is not None and request.headers.get("If-Range", tag) == tag
        first = wanted.start or 0 if resumed else 0
        headers = {"ETag": tag, "Content-Length": str(len(content) - first)}
        if resumed:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        response = web.StreamResponse(status=206 if resumed else 200, headers=headers)
        await response.prepare(request)
        if self.cut_after is None or first + self.cut_after >= len(content):
            await response.write(content[first:])
            return response
        await response.write(content[first : first + self.cut_after])
        await eventually(lambda: self.cut_when() or request.transport is None)
        if request.transport is not None:
            request.transport.close()
        return response

    def _page(self, request: web.Request) -> str:
        prefix, token = request.query["prefix"], request.query.get("continuation-token", "")
        delimiter = request.query.get("delimiter")
        entries: dict[str, str] = {}
        for key, content in sorted(self.objects.items()):
            if not key.startswith(prefix):
                continue
            folder, slash, _ = key.removeprefix(prefix).partition("/")
            if delimiter and slash:
                name = f"{prefix}{folder}/"
                entries[name] = f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
            else:
                entries[key] = (
                    f"<Contents><Key>{key}</Key><LastModified>2026-03-18T09:12:33.000Z</LastModified>"
                    f'<ETag>"0"</ETag><Size>{len(content)}</Size></Contents>'
                )
        names = [name for name in entries if name > token]
        shown = names[: self.page_keys]
        more = len(names) > len(shown)
        following = f"<NextContinuationToken>{shown[-1]}</NextContinuationToken>" if more else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>data.binance.vision</Name>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{''.join(entries[name] for name in shown)}{following}"
            "</ListBucketResult>"
        )


@asynccontextmanager
async def archive_server() -> AsyncIterator[ArchiveServer]:
    """A server on a free port until the block ends."""
    server = ArchiveServer()
    application = web.Application()
    application.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}"
        yield server
    finally:
        await runner.cleanup()
