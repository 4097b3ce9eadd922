"""The venue's own bars over REST, of futures or of spot, for analyses of what is not stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ....errors import BadData, Unavailable
from ....model.bars import VenueBar
from ....ports import Clock, Priority
from ....telemetry.log import get_logger
from ....telemetry.metrics import Metrics
from ..parse.messages import number
from .client import FINAL_MARGIN_MS, RestOptions
from .retry import Retrying
from .session import RestSession
from .weight import Budget, follow, owed

BATCH = 1000
"""Rows of one request, the most that spot gives."""
_MAX_CONNECTIONS = 4

log = get_logger("rest")


@dataclass(frozen=True, slots=True)
class BarEndpoint:
    """``method`` is ccxt's, ``setting`` names the URL in errors; ``weight`` of a request for so many rows."""

    method: str
    setting: str
    weight: Callable[[int], int]


FUTURES = BarEndpoint(
    "fapiPublicGetKlines", "BINANCE_REST_URL", lambda rows: 1 if rows < 100 else 2 if rows < 500 else 5
)
SPOT = BarEndpoint("publicGetKlines", "BINANCE_SPOT_REST_URL", lambda rows: 2)
"""The weights are the documented ones."""


class BarsRest:
    """``ports.bars.BarSource``. ``open`` before the first call.

    Every request takes its weight from ``budget`` first; a 429 or 418 stops everyone who shares it. Raises
    ``ConfigError`` for a base URL that is not TLS and not loopback.
    """

    def __init__(
        self, endpoint: BarEndpoint, options: RestOptions, budget: Budget, clock: Clock, metrics: Metrics
    ) -> None:
        self._endpoint = endpoint
        self._budget, self._clock, self._metrics, self._source = budget, clock, metrics, options.source
        self._retrying = Retrying(options, owed=owed)
        self._session = RestSession(
            options.base_url,
            clock,
            metrics,
            endpoints=("klines",),
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

    async def closed_ms(self, period_ms: int) -> int:
        """See ``ports.bars.BarSource``."""
        return (self._clock.now_ms() - FINAL_MARGIN_MS) // period_ms * period_ms

    async def bars(
        self, symbol: str, period: str, period_ms: int, from_ms: int, to_ms: int
    ) -> list[VenueBar]:
        """See ``ports.bars.BarSource``."""
        found: list[VenueBar] = []
        closed_ms = min(to_ms, await self.closed_ms(period_ms))
        for first_ms in range(-(-from_ms // period_ms) * period_ms, closed_ms, BATCH * period_ms):
            last_ms = min(first_ms + BATCH * period_ms, closed_ms)
            found += await self._retrying(
                self._ask, symbol, period, period_ms, range(first_ms, last_ms, period_ms)
            )
        return found

    async def _ask(self, symbol: str, period: str, period_ms: int, wanted: range) -> list[VenueBar]:
        query = {
            "symbol": symbol,
            "interval": period,
            "startTime": wanted[0],
            "endTime": wanted[-1],
            "limit": len(wanted),
        }
        async with self._budget.permit(self._endpoint.weight(len(wanted)), Priority.VERIFY):
            answer = await self._session.send(self._budget, self._endpoint.method, query)
        if not isinstance(answer, list):
            raise Unavailable(f"klines: not a list but {answer!r:.100}", reason="bad_json")
        found: dict[int, VenueBar] = {}
        for row in answer:
            try:
                bar = bar_row(row, wanted)
            except BadData as error:
                self._metrics.rows_received.labels(self._source).inc()
                self._metrics.rows_rejected.labels(error.reason).inc()
                log.warning("rest_row_rejected", msg=f"{symbol} {period}: {error}", reason=error.reason)
                continue
            found.setdefault(bar.open_ms, bar)
        return [found[open_ms] for open_ms in sorted(found)]


def bar_row(row: object, wanted: range) -> VenueBar:
    """One row of ``GET /fapi/v1/klines`` or ``/api/v3/klines``, which must open at one of the ``wanted`` times.

        [1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,
         "2434.19055334",308,"1756.87402397","28.46694368","0"]

    Raises ``BadData``.
    """
    if not isinstance(row, Sequence) or isinstance(row, str | bytes) or len(row) < 11:
        raise BadData(f"a kline row has 12 columns, not {row!r:.80}", reason="not_kline")
    opened, closed, count = row[0], row[6], row[8]
    if type(opened) is not int or opened not in wanted:
        raise BadData(f"{opened!r:.40} was not asked for", reason="unasked")
    if closed != opened + wanted.step - 1:
        raise BadData(f"open time {opened} with close time {closed!r:.40}", reason="bad_time")
    if type(count) is not int or count < 0:
        raise BadData(f"no count: {count!r:.40}", reason="bad_number")
    bar = VenueBar(
        open_ms=opened,
        close_ms=opened + wanted.step,
        open=number(row[1]),
        high=number(row[2]),
        low=number(row[3]),
        close=number(row[4]),
        volume=number(row[5]),
        quote_volume=number(row[7]),
        trade_count=count,
        buy_volume=number(row[9]),
    )
    if not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        raise BadData(f"o h l c {bar[2:6]} at {opened}", reason="bad_price")
    if not 0 <= bar.buy_volume <= bar.volume or bar.quote_volume < 0:
        raise BadData(f"{bar.buy_volume} bought by takers of {bar.volume} at {opened}", reason="bad_volume")
    return bar
