"""Answers kept in memory for a while: those about ranges that are over, which the same people ask for again and again.

What is kept is bounded in bytes, the least used goes first. Nobody tells of a change to what is stored, and nobody
need: an answer is kept for so short a time (``CLOSED_S``) that a candle that came late or was mended is told as it is a
minute later at the latest.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

CLOSED_S: Final = 60.0
"""How long the answer about a range that is over is kept."""
_MOST_BYTES: Final = 32 * 1_048_576
_BIGGEST_SHARE: Final = 4
"""One answer takes a quarter of the room at most: the map of a year of all symbols is 5 MB."""
_ENTRY_BYTES: Final = 1_024
"""What an entry takes besides its bodies."""
_ZIP_FROM_BYTES: Final = 1_024
_THREAD_FROM_BYTES: Final = 131_072
"""Zipping so much takes a millisecond; more is done in a thread, while the loop goes on."""
_GZIP_WINDOW: Final = 31
_ZIP_LEVEL: Final = 1

Key = tuple[str, bytes, str]


@dataclass(slots=True)
class _Kept:
    body: bytes
    headers: Mapping[str, str]
    until: float
    zipped: bytes | None = field(default=None)

    @property
    def bytes(self) -> int:
        return len(self.body) + len(self.zipped or b"") + _ENTRY_BYTES


class AnswerCache:
    """``seconds`` are wall seconds; only the event loop touches it."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self.bytes = 0
        self.hits = self.misses = 0

    async def answer(self, request: Request, now: float | None = None) -> Response | None:
        """What is kept for the very same request, zipped for who takes that."""
        key = _key(request)
        kept = self._kept.get(key)
        if kept is None or kept.until <= (monotonic() if now is None else now):
            if kept is not None:
                self._drop(key)
            self.misses += 1
            return None
        self._kept.move_to_end(key)
        self.hits += 1
        if _takes_zipped(request) and len(kept.body) >= _ZIP_FROM_BYTES:
            return await self._zipped(key, kept)
        return Response(kept.body, headers=kept.headers)

    def keep(self, request: Request, answer: Response, seconds: float, now: float | None = None) -> None:
        """Keep an answer for a while, where it is not too big."""
        body = bytes(answer.body)
        if len(body) + _ENTRY_BYTES > self._most_bytes // _BIGGEST_SHARE:
            return
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        key = _key(request)
        if key in self._kept:
            self._drop(key)
        until = (monotonic() if now is None else now) + seconds
        self._kept[key] = kept = _Kept(body, headers, until)
        self.bytes += kept.bytes
        self._shrink()

    def forget(self) -> None:
        """Keep nothing any more."""
        self._kept.clear()
        self.bytes = 0

    async def _zipped(self, key: Key, kept: _Kept) -> Response:
        zipped = kept.zipped
        if zipped is None:
            big = len(kept.body) > _THREAD_FROM_BYTES
            zipped = await asyncio.to_thread(_zip, kept.body) if big else _zip(kept.body)
            if self._kept.get(key) is kept and kept.zipped is None:
                kept.zipped = zipped
                self.bytes += len(zipped)
                self._shrink()
        headers = {**kept.headers, "content-encoding": "gzip"}
        headers["vary"] = f"{headers['vary']}, Accept-Encoding" if "vary" in headers else "Accept-Encoding"
        return Response(zipped, headers=headers)

    def _drop(self, key: Key) -> None:
        self.bytes -= self._kept.pop(key).bytes

    def _shrink(self) -> None:
        while self.bytes > self._most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self.bytes -= oldest.bytes


def _key(request: Request) -> Key:
    return request.url.path, request.scope["query_string"], request.headers.get("accept", "")


def _takes_zipped(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def _zip(body: bytes) -> bytes:
    packer = zlib.compressobj(_ZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(body) + packer.flush()
