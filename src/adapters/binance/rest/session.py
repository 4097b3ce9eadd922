"""What every REST client of the venue sends through: one ccxt exchange on one guarded session."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from ....errors import Retryable, Unavailable
from ....ports import Clock
from ....slices import a_slice
from ....telemetry.metrics import Metrics
from .errors import is_about_address
from .http import GuardedSession, checked_url

# Exported as 0 from the start, so that an alert sees the first one happen.
_WATCHED_CODES = ("200", "418", "429")


class Pausable(Protocol):
    """The limiter of a budget, as far as a session needs it."""

    def pause(self, seconds: float) -> None: ...


class RestSession:
    """``open`` before the first ``send``; calls may run side by side, and nothing is tried twice.

    ``endpoints`` are the last parts of the paths that will be asked for, the label of each request's count.
    ``on_answer`` is told of every request that ended: its headers and the wall seconds taken, as is ``timeout``.
    Raises ``ConfigError`` for a base URL that is not TLS and not loopback.
    """

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        metrics: Metrics,
        *,
        endpoints: Iterable[str],
        proxy: str | None,
        timeout: float,
        max_connections: int,
        on_answer: Callable[[Mapping[str, str], float], None] = lambda _headers, _seconds: None,
        setting: str = "BINANCE_REST_URL",
    ) -> None:
        self._base_url = checked_url(setting, base_url)
        self._clock, self._metrics, self._on_answer = clock, metrics, on_answer
        self._proxy, self._timeout, self._max_connections = proxy, timeout, max_connections
        self._endpoints = frozenset(endpoints)
        for name in self._endpoints:
            for code in _WATCHED_CODES:
                metrics.rest_requests.labels(name, code)
        self._session: GuardedSession | None = None
        self._exchange: Any = None
        self._unread: type = type(None)

    async def open(self) -> None:
        """Load ccxt (in a thread, it takes 0.4 s) and make the session; nothing is sent yet."""
        if self._session is not None:
            return
        module = await asyncio.to_thread(importlib.import_module, ".exchange", __package__)
        exchange = module.Exchange(self._base_url, self._clock.now)
        self._session = GuardedSession(
            self._base_url,
            proxy=self._proxy,
            timeout=self._timeout,
            on_answer=self._count,
            trusted=exchange.cafile,
            max_connections=self._max_connections,
        )
        exchange.use(self._session)
        self._exchange, self._unread = exchange, module.Unread

    async def close(self) -> None:
        exchange, session = self._exchange, self._session
        self._exchange = self._session = None
        if exchange is not None:
            await exchange.close()
        if session is not None:
            await session.close()

    async def send(self, budget: Pausable, method: str, query: Mapping[str, object]) -> Any:
        """The raw answer of one of ccxt's implicit methods; the caller holds a permit of ``budget``.

        An error that is about the address pauses ``budget``. Raises ``Retryable`` or ``Permanent``.
        """
        if self._exchange is None:
            raise Unavailable("the REST session is not open", reason="closed")
        exchange = self._exchange
        try:
            answer = await getattr(exchange, method)(dict(query))
            if not isinstance(answer, self._unread):
                return answer
            async with a_slice():
                return exchange.read(answer)
        except Retryable as error:
            if is_about_address(error):
                budget.pause(error.retry_after)
            raise

    def _count(self, path: str, status: str, headers: Mapping[str, str], seconds: float) -> None:
        """Called by the session for every request that ended, with the wall seconds it took."""
        name = path.rpartition("/")[2]
        self._metrics.rest_requests.labels(name if name in self._endpoints else "other", status).inc()
        self._metrics.rest_duration.observe(seconds)
        self._on_answer(headers, seconds)
