"""Answers kept in memory for a while: those about ranges that are over, which the same people ask for again and again.

What is kept is bounded in bytes, the least used goes first. Whoever stores rows in this process tells of them
(``changed``): an answer that they are part of is forgotten at once. Of what other processes store nobody tells, so that
an answer is kept for a short time only (``CLOSED_S``): it is told as it is a minute later at the latest. So are bars
that are made of candles later.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ..model import Candle
from ..telemetry.metrics import Metrics

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

_TICK: Final = "marketd.cache_tick"
"""Key in a request's scope: what had been told when it was begun to be answered."""

Key = tuple[str, bytes, str]


@dataclass(slots=True)
class _Kept:
    body: bytes
    headers: Mapping[str, str]
    until: float
    symbol: str | None
    upto_ms: int | None
    zipped: bytes | None = field(default=None)

    @property
    def bytes(self) -> int:
        return len(self.body) + len(self.zipped or b"") + _ENTRY_BYTES


class AnswerCache:
    """``seconds`` are wall seconds; only the event loop touches it. What it does is counted in ``metrics``."""

    def __init__(self, most_bytes: int = _MOST_BYTES, metrics: Metrics | None = None) -> None:
        self._most_bytes = most_bytes
        self._metrics = metrics or Metrics()
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._of: dict[str, set[Key]] = {}
        self._tick = 0
        self._told: dict[str, int] = {}
        """By symbol: when it was last told of, in ticks. Symbols are the venue's, so it stays small."""
        self.bytes = 0
        self.hits = self.misses = 0

    async def answer(self, request: Request, now: float | None = None) -> Response | None:
        """What is kept for the very same request, zipped for who takes that."""
        key = _key(request)
        kept = self._kept.get(key)
        if kept is None or kept.until <= (monotonic() if now is None else now):
            if kept is not None:
                self._drop(key, "expired")
            self.misses += 1
            self._metrics.api_cache_answers.labels(result="miss").inc()
            request.scope[_TICK] = self._tick
            return None
        self._kept.move_to_end(key)
        self.hits += 1
        self._metrics.api_cache_answers.labels(result="hit").inc()
        if _takes_zipped(request) and len(kept.body) >= _ZIP_FROM_BYTES:
            return await self._zipped(key, kept)
        return Response(kept.body, headers=kept.headers)

    def keep(
        self,
        request: Request,
        answer: Response,
        seconds: float,
        now: float | None = None,
        *,
        symbol: str | None = None,
        upto_ms: int | None = None,
    ) -> None:
        """Keep an answer for a while, where it is not too big.

        It is about rows of ``symbol`` before ``upto_ms`` (UTC ms; None: all of them). Where such rows were told of
        since the request was begun, nobody knows which of them it holds, and it is not kept.
        """
        body = bytes(answer.body)
        if len(body) + _ENTRY_BYTES > self._most_bytes // _BIGGEST_SHARE:
            return
        if symbol is not None and self._told.get(symbol, 0) > request.scope.get(_TICK, self._tick):
            return
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        key = _key(request)
        if key in self._kept:
            self._drop(key, "expired")
        until = (monotonic() if now is None else now) + seconds
        self._kept[key] = kept = _Kept(body, headers, until, symbol, upto_ms)
        if symbol is not None:
            self._of.setdefault(symbol, set()).add(key)
        self.bytes += kept.bytes
        self._shrink()

    def changed(self, symbol: str, at_ms: int) -> None:
        """A row of ``symbol`` was stored at ``at_ms`` (UTC ms): forget the answers that it is part of."""
        self._tick += 1
        self._told[symbol] = self._tick
        for key in tuple(self._of.get(symbol, ())):
            upto_ms = self._kept[key].upto_ms
            if upto_ms is None or at_ms < upto_ms:
                self._drop(key, "changed")

    def committed(self, candles: Iterable[Candle]) -> None:
        """Candles were stored; the live writer tells of them, and they mostly lie behind all that is kept."""
        for candle in candles:
            self.changed(candle.symbol, candle.open_ms)

    def forget(self) -> None:
        """Keep nothing any more."""
        for key in tuple(self._kept):
            self._drop(key, "changed")

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

    def _drop(self, key: Key, reason: str) -> None:
        kept = self._kept.pop(key)
        self.bytes -= kept.bytes
        if kept.symbol is not None:
            others = self._of[kept.symbol]
            others.discard(key)
            if not others:
                del self._of[kept.symbol]
        self._metrics.api_cache_dropped.labels(reason=reason).inc()
        self._metrics.api_cache_bytes.set(self.bytes)

    def _shrink(self) -> None:
        while self.bytes > self._most_bytes:
            self._drop(next(iter(self._kept)), "evicted")
        self._metrics.api_cache_bytes.set(self.bytes)


def _key(request: Request) -> Key:
    return request.url.path, request.scope["query_string"], request.headers.get("accept", "")


def _takes_zipped(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def _zip(body: bytes) -> bytes:
    packer = zlib.compressobj(_ZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(body) + packer.flush()
