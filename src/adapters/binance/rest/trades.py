"""Aggregate trades over REST, of the futures or of the spot market, each with its own budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ....errors import BadData, Unavailable
from ....model import Trade
from ....ports import Clock, Priority
from ....telemetry.log import get_logger
from ....telemetry.metrics import Metrics
from ..parse.trades import trade_row
from .client import RestOptions
from .retry import Retrying
from .session import RestSession
from .weight import Budget, follow, owed

MAX_ROWS = 1000
"""Rows of one answer; how many are asked for does not change what it costs."""
_MAX_CONNECTIONS = 8

log = get_logger("rest")


@dataclass(frozen=True, slots=True)
class TradeEndpoint:
    """``method`` is ccxt's, ``weight`` of one request, ``setting`` names the URL in errors."""

    method: str
    weight: int
    setting: str


FUTURES = TradeEndpoint("fapiPublicGetAggTrades", 20, "BINANCE_REST_URL")
SPOT = TradeEndpoint("publicGetAggTrades", 4, "BINANCE_SPOT_REST_URL")
"""The weights are the documented ones."""


class TradesRest:
    """``ports.trades.TradeSource``. ``open`` before the first call; calls may run side by side.

    Every request takes its weight from ``budget`` first; a 429 or 418 stops everyone who shares it. Raises
    ``ConfigError`` for a base URL that is not TLS and not loopback.
    """

    def __init__(
        self, endpoint: TradeEndpoint, options: RestOptions, budget: Budget, clock: Clock, metrics: Metrics
    ) -> None:
        self._endpoint, self._budget, self._metrics = endpoint, budget, metrics
        self._retrying = Retrying(options, owed=owed)
        self._session = RestSession(
            options.base_url,
            clock,
            metrics,
            endpoints=("aggTrades",),
            proxy=options.proxy,
            timeout=options.timeout,
            max_connections=_MAX_CONNECTIONS,
            on_answer=follow(budget, clock),
            setting=endpoint.setting,
        )

    async def open(self) -> None:
        """Load ccxt and make the session; nothing is sent yet."""
        await self._session.open()

    async def close(self) -> None:
        await self._session.close()

    async def from_id(self, symbol: str, first_id: int, *, priority: Priority) -> list[Trade]:
        """See ``ports.trades.TradeSource``."""
        found = await self._retrying(self._ask, symbol, {"fromId": first_id}, priority)
        return [trade for trade in found if trade.trade_id >= first_id]

    async def since(self, symbol: str, since_ms: int, *, priority: Priority) -> list[Trade]:
        """See ``ports.trades.TradeSource``."""
        found = await self._retrying(self._ask, symbol, {"startTime": since_ms}, priority)
        return [trade for trade in found if trade.ts_ms >= since_ms]

    async def _ask(self, symbol: str, query: Mapping[str, object], priority: Priority) -> list[Trade]:
        given = {"symbol": symbol, "limit": MAX_ROWS} | dict(query)
        async with self._budget.permit(self._endpoint.weight, priority):
            answer = await self._session.send(self._budget, self._endpoint.method, given)
        if not isinstance(answer, list):
            raise Unavailable(f"aggTrades: not a list but {answer!r:.100}", reason="bad_json")
        self._metrics.trades_received.labels("rest").inc(len(answer))
        found: dict[int, Trade] = {}
        for row in answer:
            try:
                parsed = trade_row(symbol, row)
            except BadData as error:
                self._metrics.trades_rejected.labels(error.reason).inc()
                log.warning("trade_rejected", msg=str(error), symbol=symbol, reason=error.reason)
                continue
            for name in parsed.inexact:
                self._metrics.inexact_values.labels(name).inc()
            found.setdefault(parsed.trade.trade_id, parsed.trade)
        return [found[number] for number in sorted(found)]
