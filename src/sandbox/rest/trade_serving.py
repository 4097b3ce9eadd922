"""How trades reach a client: over REST (futures and spot) and on the streams ``<s>@aggTrade``."""

from __future__ import annotations

import orjson
from aiohttp import web

from ..market.candles import MINUTE_MS
from ..market.trades import KEPT_MS, Trades
from ..stream.connections import Hub
from ..venue import Venue
from .endpoints import answer, problem
from .klines import Refused

FUTURES_PATH, SPOT_PATH = "/fapi/v1/aggTrades", "/api/v3/aggTrades"
SUFFIX = "@aggTrade"
_CATCH_UP_MS = 10 * MINUTE_MS
"""After a stop of the whole process, no older trades are pushed."""


class TradesRest:
    """The handlers of both endpoints."""

    def __init__(self, venue: Venue) -> None:
        self._futures, self._spot = Trades(venue), Trades(venue, spot=True)

    def routes(self) -> list[web.RouteDef]:
        return [web.get(FUTURES_PATH, self._of_futures), web.get(SPOT_PATH, self._of_spot)]

    async def _of_futures(self, request: web.Request) -> web.StreamResponse:
        return _rows(self._futures, request, KEPT_MS)

    async def _of_spot(self, request: web.Request) -> web.StreamResponse:
        return _rows(self._spot, request, None)


class TradePump:
    """Pushes the trades that fell due since it last looked."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._trades = Trades(hub.venue)
        self._until_ms = hub.venue.clock.now_ms() + 1

    def push(self, now_ms: int) -> None:
        from_ms, self._until_ms = max(self._until_ms, now_ms - _CATCH_UP_MS), now_ms + 1
        universe, stated = self._hub.venue.universe, self._hub.venue.clock.stated_ms()
        for stream in [name for name in self._hub.subscribers if name.endswith(SUFFIX)]:
            instrument = universe.by_stream.get(f"{stream.removesuffix(SUFFIX)}@kline_1m")
            if instrument is None:
                continue
            for trade in self._trades.between(instrument, from_ms, self._until_ms):
                head = {"e": "aggTrade", "E": stated, "s": instrument.symbol}
                raw = orjson.dumps(head | trade.message)
                self._hub.push(stream, raw, "trade", symbol=instrument.symbol)


def _rows(trades: Trades, request: web.Request, kept_ms: int | None) -> web.Response:
    try:
        return answer([trade.message for trade in trades.rows(request.query, kept_ms=kept_ms)])
    except Refused as refused:
        return problem(400, refused.code, refused.text)
