"""The venue's REST side as ``ports.History``: its time, its contracts and closed candles of any past minute."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from ....errors import BadData, Retryable, Unavailable
from ....model import MINUTE_MS, Authority, Candle, Instrument
from ....ports import Clock, Priority
from ....slices import in_slices
from ....telemetry.log import get_logger
from ....telemetry.metrics import Metrics
from ...rate_limiter import RateLimiter
from ..parse.messages import kline_row
from ..symbols import parse_exchange_info
from .retry import Retrying
from .session import RestSession
from .weight import follow, owed

# The most rows per unit of weight: 499 for 2; up to 99 cost 1.
MAX_ROWS = 499
_CHEAP_ROWS = 99

# A row asked this long after its close is the venue's settled word.
SETTLED_MS = 60_000
# Rows that closed less than this before we asked are left for the next asking: our clock may be ahead by half a
# round trip, and the venue's last row may still be moving.
FINAL_MARGIN_MS = 500

# One round trip of a new connection holds its handshakes as well; a shorter second one tells better time.
_SLOW_ROUND_TRIP_S = 0.25
_ENDPOINTS = ("time", "exchangeInfo", "klines")
_MAX_CONNECTIONS = 64

log = get_logger("rest")


@dataclass(frozen=True, slots=True)
class RestOptions:
    """Where and how patiently to ask. Seconds are wall seconds except ``patience``.

    ``attempts`` counts the first one; ``patience`` is how long a wait the venue may ask for before the error goes
    to the caller instead. ``source`` labels the candles.
    """

    base_url: str = "https://fapi.binance.com"
    proxy: str | None = field(default=None, repr=False)
    timeout: float = 10.0
    attempts: int = 4
    backoff_base: float = 0.5
    backoff_cap: float = 8.0
    patience: float = 90.0
    source: str = "binance_rest"


class BinanceRest:
    """One session to the venue. ``open`` before the first call; calls may run side by side.

    Every request takes its weight from ``limiter`` first; a 429 or 418 stops everyone who shares it.
    Raises ``ConfigError`` for a base URL that is not TLS and not loopback.
    """

    def __init__(self, options: RestOptions, limiter: RateLimiter, clock: Clock, metrics: Metrics) -> None:
        self._options, self._limiter, self._clock, self._metrics = options, limiter, clock, metrics
        self._retrying = Retrying(options, owed=owed, tell=_tell)
        self._session = RestSession(
            options.base_url,
            clock,
            metrics,
            endpoints=_ENDPOINTS,
            proxy=options.proxy,
            timeout=options.timeout,
            max_connections=_MAX_CONNECTIONS,
            on_answer=follow(limiter, clock),
        )

    async def open(self) -> None:
        """Load ccxt and make the session; nothing is sent yet."""
        await self._session.open()

    async def close(self) -> None:
        await self._session.close()

    async def server_time(self) -> float:
        """The venue's time now, epoch seconds, corrected by half the round trip."""
        return await self._retrying(self._server_time)

    async def instruments(self) -> list[Instrument]:
        """Every contract of the venue in any state; unusable entries are counted and left out."""
        return await self._retrying(self._instruments)

    async def candles(self, symbol: str, from_ms: int, to_ms: int, *, priority: Priority) -> list[Candle]:
        """See ``ports.History``: the closed minutes of [from_ms, to_ms), at most the first 499."""
        first_ms = -(-from_ms // MINUTE_MS) * MINUTE_MS
        rows = min(-(-(to_ms - first_ms) // MINUTE_MS), MAX_ROWS)
        if rows <= 0:
            return []
        return await self._retrying(self._candles, symbol, first_ms, rows, priority)

    async def _server_time(self) -> float:
        best_trip, difference = await self._time_difference()
        if best_trip > _SLOW_ROUND_TRIP_S:
            second_trip, second = await self._time_difference()
            difference = second if second_trip < best_trip else difference
        return self._clock.now() + difference

    async def _time_difference(self) -> tuple[float, float]:
        """Round trip in wall seconds, and venue time minus our clock at the middle of it."""
        async with self._limiter.permit(1, Priority.ROLL_CALL):
            sent, before = self._clock.monotonic(), self._clock.now()
            answer = await self._session.send(self._limiter, "fapiPublicGetTime", {})
            trip = self._clock.monotonic() - sent
        told = answer.get("serverTime") if isinstance(answer, Mapping) else None
        if type(told) is not int or told <= 0:
            raise Unavailable(f"time: no serverTime in {answer!r:.100}", reason="bad_json")
        return trip / self._clock.speed, told / 1000 - (before + trip / 2)

    async def _instruments(self) -> list[Instrument]:
        async with self._limiter.permit(1, Priority.ROLL_CALL):
            answer = await self._session.send(self._limiter, "fapiPublicGetExchangeInfo", {})
        info = parse_exchange_info(answer)
        for error in info.rejected:
            self._metrics.symbols_rejected.labels(error.reason).inc()
            log.warning("symbol_rejected", msg=str(error), reason=error.reason)
        if info.weight_limit is not None:
            self._limiter.adopt_venue_limit(info.weight_limit)
        return list(info.instruments)

    async def _candles(self, symbol: str, first_ms: int, rows: int, priority: Priority) -> list[Candle]:
        query = {
            "symbol": symbol,
            "interval": "1m",
            "startTime": first_ms,
            "endTime": first_ms + (rows - 1) * MINUTE_MS,
            "limit": rows,
        }
        async with self._limiter.permit(1 if rows <= _CHEAP_ROWS else 2, priority):
            asked_ms = self._clock.now_ms()
            answer = await self._session.send(self._limiter, "fapiPublicGetKlines", query)
        if not isinstance(answer, list):
            raise Unavailable(f"klines: not a list but {answer!r:.100}", reason="bad_json")
        wanted = range(first_ms, first_ms + rows * MINUTE_MS, MINUTE_MS)
        return await in_slices(self._closed(symbol, answer, wanted, asked_ms))

    def _closed(
        self, symbol: str, rows: list[object], wanted: range, asked_ms: int
    ) -> Generator[None, None, list[Candle]]:
        """The usable rows of the minutes asked for, each once and in order; what is not usable is counted."""
        found: dict[int, Candle] = {}
        for row in rows:
            yield
            candle = self._candle(symbol, row, asked_ms)
            if candle is None or candle.close_ms > asked_ms - FINAL_MARGIN_MS:
                continue
            if candle.open_ms not in wanted or candle.open_ms in found:
                self._reject(BadData(f"{symbol}: {candle.open_ms} was not asked for", reason="unasked"))
                continue
            found[candle.open_ms] = candle
        return [found[open_ms] for open_ms in sorted(found)]

    def _candle(self, symbol: str, row: object, asked_ms: int) -> Candle | None:
        authority = Authority.REST if _is_settled(row, asked_ms) else Authority.STREAM
        try:
            parsed = kline_row(symbol, row, source=self._options.source, authority=authority)
        except BadData as error:
            self._reject(error)
            return None
        for name in parsed.inexact:
            self._metrics.inexact_values.labels(name).inc()
        return parsed.candle

    def _reject(self, error: BadData) -> None:
        """Counts the row as received too, as the gate does for those that get so far: the sums must add up."""
        self._metrics.rows_received.labels(self._options.source).inc()
        self._metrics.rows_rejected.labels(error.reason).inc()
        log.warning("rest_row_rejected", msg=str(error), reason=error.reason)


def _is_settled(row: object, asked_ms: int) -> bool:
    open_ms = row[0] if isinstance(row, list) and row else None
    return type(open_ms) is int and asked_ms - (open_ms + MINUTE_MS) >= SETTLED_MS


def _tell(error: Retryable, attempt: int) -> None:
    log.warning("rest_retry", msg=str(error), reason=error.reason, attempt=attempt)
