"""The REST endpoints over aiohttp: weights, headers, refusals, and the faults of an HTTP server."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from email.utils import formatdate

import orjson
from aiohttp import web

from ..faults import Fault, Kind
from ..stats import KlinesAsked
from ..stream.connections import reset
from ..venue import Venue
from . import klines
from .limits import Budgets

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HTML = "<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>cloudfront</body></html>"
_REUSED_MS = 30_000
"""The exchangeInfo answer is compressed anew at most that often; its serverTime is stale on the real host too."""


def problem(status: int, code: int, text: str) -> web.Response:
    """``{"code":-1121,"msg":"Invalid symbol."}``"""
    return answer({"code": code, "msg": text}, status=status)


def answer(value: object, *, status: int = 200) -> web.Response:
    """A JSON body."""
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


class Rest:
    """The handlers of ``/fapi/v1`` about candles, and what every REST request goes through."""

    def __init__(self, venue: Venue, budgets: Budgets) -> None:
        self._venue = venue
        self._budgets = budgets
        self._info: tuple[int, int, bytes, bytes] | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/fapi/v1/ping", self._ping),
            web.get("/fapi/v1/time", self._time),
            web.get("/fapi/v1/exchangeInfo", self._exchange_info),
            web.get("/fapi/v1/klines", self._klines),
            web.get("/api/v3/klines", self._spot_klines),
        ]

    async def _ping(self, _: web.Request) -> web.StreamResponse:
        return answer({})

    async def _time(self, _: web.Request) -> web.StreamResponse:
        return answer({"serverTime": self._venue.clock.stated_ms()})

    async def _exchange_info(self, request: web.Request) -> web.StreamResponse:
        version, now = self._venue.universe.version, self._venue.clock.now_ms()
        if self._info is None or self._info[0] != version or now - self._info[1] > _REUSED_MS:
            body = self._venue.universe.body(self._venue.clock.stated_ms())
            self._info = (version, now, body, gzip.compress(body, 6))
        response = web.Response(content_type="application/json")
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            response.headers["Content-Encoding"] = "gzip"
            response.body = self._info[3]
        else:
            response.body = self._info[2]
        return response

    async def _klines(self, request: web.Request) -> web.StreamResponse:
        try:
            query = klines.parse(self._venue, request.query)
        except klines.Refused as refused:
            return problem(400, refused.code, refused.text)
        asked = KlinesAsked(query.instrument.symbol, query.limit, query.start_ms, query.end_ms)
        self._venue.stats.klines.append(asked)
        return answer([tuple(row) for row in klines.rows(self._venue, query)])

    async def _spot_klines(self, request: web.Request) -> web.StreamResponse:
        try:
            query = klines.parse(self._venue, request.query, most=klines.SPOT_MOST)
        except klines.Refused as refused:
            return problem(400, refused.code, refused.text)
        return answer([tuple(row) for row in klines.rows(self._venue, query)])

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Faults, then refusals, then the answer; everything counted by path and status."""
        if not request.path.startswith(("/fapi/", "/futures/data/", "/bapi/", "/api/", "/rpc")):
            return await handler(request)
        stats = self._venue.stats
        try:
            response = await self._answer(request, handler)
        except web.HTTPException as refused:
            response = problem(
                refused.status, -5000, f"Path {request.path}, Method {request.method} is invalid"
            )
        except asyncio.CancelledError:  # the client gave up
            stats.request(request.path, 0)
            raise
        cut = request.transport is None or request.transport.is_closing()
        stats.request(request.path, 0 if cut else response.status)
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        symbol = request.query.get("symbol")
        fault = self._venue.faults.hit(Kind.REST, path=request.path, symbol=symbol)
        if fault is not None and fault.mode not in {"delay", "truncated", "drip"}:
            return await self._instead(request, fault)
        if fault is not None and fault.mode == "delay":
            await asyncio.sleep(fault.seconds)
        response = await self._charged(request, handler)
        if fault is not None and fault.mode in {"truncated", "drip"}:
            return await self._spoiled(request, response, fault)
        return response

    async def _charged(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal, used = self._budgets.charge(request.path, _weight(request))
        if refusal is None:
            response = await handler(request)
        else:
            response = problem(refusal.status, -1003, refusal.text)
            if refusal.retry_after is not None:
                response.headers["Retry-After"] = refusal.retry_after
        if used is not None:
            response.headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        # Of the exchange's clock and not this computer's, as every time it tells.
        response.headers["Date"] = formatdate(self._venue.clock.stated_ms() // 1000, usegmt=True)
        return response

    async def _instead(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        """An answer that replaces the venue's own."""
        if fault.mode == "hang":
            await fault.cleared.wait()
        if fault.mode in {"hang", "reset"}:
            reset(request.transport)
            return web.Response()  # to nobody: aiohttp finds the connection gone
        if fault.mode == "html":
            body, kind = fault.body or HTML.format(status=fault.status), "text/html"
        elif fault.mode == "empty":
            body, kind = "", "application/json"
        else:
            default = orjson.dumps(
                {"code": -1000, "msg": "An unknown error occurred while processing the request."}
            )
            body, kind = fault.body or default.decode(), "application/json"
        return web.Response(text=body, status=fault.status, content_type=kind, headers=fault.headers)

    async def _spoiled(
        self, request: web.Request, response: web.StreamResponse, fault: Fault
    ) -> web.StreamResponse:
        """The real answer, cut in the middle, or so slow that it drips byte by byte."""
        body = response.body if isinstance(response, web.Response) else b""
        whole = body if isinstance(body, bytes) else b""
        stream = web.StreamResponse(status=response.status, headers=response.headers)
        stream.content_length = len(whole)
        await stream.prepare(request)
        if fault.mode == "truncated":
            await stream.write(whole[: len(whole) // 2])
            if request.transport is not None:
                request.transport.close()
            return stream
        for place in range(len(whole)):
            await stream.write(whole[place : place + 1])
            await asyncio.sleep(fault.seconds)
        await stream.write_eof()
        return stream


def _weight(request: web.Request) -> int:
    """20 for trades of futures, 4 for those of spot (documented); candles of futures by their number, of spot 2."""
    if request.path.endswith("/aggTrades"):
        return 20 if request.path.startswith("/fapi/") else 4
    if request.path == "/api/v3/klines":
        return 2
    return klines.weight(request.query) if request.path.endswith("/klines") else 1
