"""The archive over HTTP: objects with ranges and checksums below ``/archive``, the bucket's listing beside it."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web

from ..faults import Fault, Kind
from ..rest.endpoints import HTML
from ..venue import Venue
from . import listing as archive_listing
from .dirt import CONTENT, KLINES_ONLY, PROOF, flipped, packed, spoiled, wrong_proof
from .files import ArchiveFiles
from .names import CHECKSUM, FileName, parse
from .zip import checksum

LISTING = "archive-list"
CACHE_BYTES = 64 * 1024 * 1024
_HALF_WAY = frozenset({"cut", "stall"})
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class Object:
    """One file as it is served."""

    content: bytes
    checksum: bytes
    etag: str
    modified_ms: int
    version: str
    """What the content depends on besides the name."""


class Archive:
    """The handlers of ``/archive`` and ``/archive-list``. Files are made in a thread, one after the other."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._files = ArchiveFiles(venue)
        self._made: OrderedDict[str, Object] = OrderedDict()
        self._size = 0
        self._making = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/archive-list", self._list),
            web.get("/archive-list/", self._list),
            web.get("/archive/{key:.+}", self._get),
        ]

    async def _list(self, request: web.Request) -> web.StreamResponse:
        try:
            response = self._instead(LISTING) or _xml(archive_listing.page(self._files, request.query))
        except archive_listing.Refused as refused:
            response = _xml(archive_listing.error(refused.code, refused.text), status=400)
        self._venue.stats.request("/archive-list", response.status)
        return response

    async def _get(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["key"]
        response = await self._answer(request, key)
        self._venue.stats.download(self._venue.clock.now_ms(), key, response.status)
        return response

    async def _answer(self, request: web.Request, key: str) -> web.StreamResponse:
        name = parse(key.removesuffix(CHECKSUM))
        if name is None or not self._files.exists(name):
            return _missing(key)
        made = await self._object(name)
        if key.endswith(CHECKSUM):
            return self._proof(request, name, made)
        for fault in self._inside(name):
            self._fire(fault)
        if (instead := self._instead(name.key)) is not None:
            return instead
        return await self._sent(request, name, made)

    async def _sent(self, request: web.Request, name: FileName, made: Object) -> web.StreamResponse:
        """The file, or what becomes of it on the way."""
        fault = self._now(name.key, {"truncated", "bit_flip", *_HALF_WAY})
        if fault is not None and fault.mode in _HALF_WAY:
            return await self._half(request, _part(request, made, made.content), fault)
        content = made.content
        if fault is not None:
            content = flipped(content) if fault.mode == "bit_flip" else content[: len(content) // 2]
        return _part(request, made, content)

    async def _half(self, request: web.Request, whole: web.Response, fault: Fault) -> web.StreamResponse:
        """Half of an answer: then the connection ends, or nothing comes until the fault is cleared."""
        body = whole.body if isinstance(whole.body, bytes) else b""
        stream = web.StreamResponse(status=whole.status, headers=whole.headers)
        stream.content_length = len(body)
        await stream.prepare(request)
        await stream.write(body[: len(body) // 2])
        if fault.mode == "stall":
            await fault.cleared.wait()
            await stream.write(body[len(body) // 2 :])
        elif request.transport is not None:
            request.transport.close()
        return stream

    def _proof(self, request: web.Request, name: FileName, made: Object) -> web.StreamResponse:
        fault = self._now(name.key, PROOF)
        if fault is not None and fault.mode == "no_checksum":
            return _missing(name.key + CHECKSUM)
        return _part(request, made, wrong_proof(made.checksum) if fault else made.checksum)

    def _instead(self, path: str) -> web.Response | None:
        """An answer without anything of the archive."""
        fault = self._now(path, {"missing", "html", "s3_error"})
        if fault is None:
            return None
        if fault.mode == "missing":
            return _missing(path)
        if fault.mode == "html":
            return web.Response(text=HTML.format(status=200), content_type="text/html")
        return _xml(archive_listing.error("SlowDown", "Please reduce your request rate."), status=503)

    def _now(self, path: str, modes: Collection[str]) -> Fault | None:
        """The oldest fault of these modes that fires for a path now; the listing has to be named."""
        for fault in self._venue.faults.of_path(Kind.ARCHIVE, modes, path):
            if fault.path is None and path == LISTING:
                continue
            if self._venue.faults.drawn(fault):
                self._fire(fault)
                return fault
        return None

    def _inside(self, name: FileName) -> list[Fault]:
        """The faults inside a file."""
        found = self._venue.faults.of_path(Kind.ARCHIVE, CONTENT, name.key)
        return [fault for fault in found if name.kind == "klines" or fault.mode not in KLINES_ONLY]

    def _fire(self, fault: Fault) -> None:
        self._venue.faults.fire(fault)
        self._venue.faults.count(f"archive_{fault.mode}")

    async def _object(self, name: FileName) -> Object:
        """The file, from memory or made now."""
        entry, inside = self._files.entry(name), self._inside(name)
        lost = len(self._venue.lost.get(name.folder.removesuffix("SETTLED"), ()))
        version = f"{entry.etag} {lost} {[fault.number for fault in inside]}"
        async with self._making:
            made = self._made.get(name.key)
            if made is not None and made.version == version:
                self._made.move_to_end(name.key)
                return made
            header, text = self._files.header(name), self._files.text(name)
            content = await asyncio.to_thread(
                lambda: packed(name.stem, spoiled(header, text(), inside), inside)
            )
            proof = checksum(f"{name.stem}.zip", content)
            made = Object(content, proof, entry.etag, entry.modified_ms, version)
            self._keep(name.key, made)
            return made

    def _keep(self, key: str, made: Object) -> None:
        if (old := self._made.pop(key, None)) is not None:
            self._size -= len(old.content)
        self._made[key] = made
        self._size += len(made.content)
        while self._size > CACHE_BYTES and len(self._made) > 1:
            _, dropped = self._made.popitem(last=False)
            self._size -= len(dropped.content)


def _xml(text: str, *, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="application/xml")


def _missing(key: str) -> web.Response:
    return _xml(archive_listing.error("NoSuchKey", "The specified key does not exist.", Key=key), status=404)


def _part(request: web.Request, made: Object, content: bytes) -> web.Response:
    """The content or the part that ``Range`` asks for, if ``If-Range`` names this version."""
    modified = format_datetime(datetime.fromtimestamp(made.modified_ms // 1000, UTC), usegmt=True)
    headers = {"ETag": made.etag, "Last-Modified": modified, "Accept-Ranges": "bytes"}
    if request.headers.get("If-None-Match") == made.etag:
        return web.Response(status=304, headers=headers)
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    same = request.headers.get("If-Range", made.etag) in {made.etag, modified}
    status = 200
    if asked and any(asked.groups()) and same:
        first, end = _bounds(asked[1], asked[2], len(content))
        if first >= end:
            headers["Content-Range"] = f"bytes */{len(content)}"
            return web.Response(status=416, headers=headers)
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(content)}"
        content, status = content[first:end], 206
    return web.Response(body=content, status=status, headers=headers, content_type="application/zip")


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """[first, end) of ``bytes=first-last``; without first it is the last so many bytes."""
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1 if last else size)
