"""The REST endpoints beside the candles: metrics, funding, and the list of Alpha tokens."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from ..market.alpha import token_list
from ..venue import Venue
from . import futures_data
from .endpoints import Handler, answer, problem
from .klines import Refused

ALPHA_PATH = "/bapi/defi/v1/public/wallet-direct/buw/wallet/cex/alpha/all/token/list"


class FuturesRest:
    """The handlers of ``/futures/data``, ``/fapi/v1/funding...`` and the token list."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        return [
            *(web.get(f"/futures/data/{name}", self._metrics(name)) for name in futures_data.ENDPOINTS),
            web.get("/fapi/v1/fundingRate", self._funding),
            web.get("/fapi/v1/fundingInfo", self._funding_info),
            web.get(ALPHA_PATH, self._alpha),
        ]

    def _metrics(self, name: str) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            return _rows(lambda: futures_data.metric_rows(self._venue, name, request.query))

        return handler

    async def _funding(self, request: web.Request) -> web.StreamResponse:
        return _rows(lambda: futures_data.funding_rows(self._venue, request.query))

    async def _funding_info(self, _: web.Request) -> web.StreamResponse:
        return answer(futures_data.funding_info(self._venue))

    async def _alpha(self, _: web.Request) -> web.StreamResponse:
        return answer(token_list(self._venue.options.seed))


def _rows(make: Callable[[], list[futures_data.Row]]) -> web.Response:
    try:
        return answer(make())
    except Refused as refused:
        return problem(400, refused.code, refused.text)
