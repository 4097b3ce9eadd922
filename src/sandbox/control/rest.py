"""Control of REST: answers that go wrong, limits, bans, and the time that is stated."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate

from ..faults import Fault, Kind
from .part import ControlPart


class RestFaults(ControlPart):
    """Faults of the REST interface."""

    def rest(
        self,
        mode: str = "error",
        *,
        status: int = 500,
        body: str = "",
        headers: Mapping[str, str] | None = None,
        path: str | None = None,
        symbol: str | None = None,
        seconds: float = 0.0,
        count: int | None = None,
        share: float = 1.0,
    ) -> Fault:
        """REST answers go wrong; ``path`` is a part of the path (``klines``), ``symbol`` the query's.

        Modes: ``error`` (``status`` with ``body`` and ``headers``, so a redirect too), ``html``, ``empty``,
        ``truncated``, ``delay`` (``seconds`` wall, then the real answer), ``drip`` (one byte every ``seconds``
        wall), ``hang`` (until cleared), ``reset``.
        """
        if mode not in {"error", "html", "empty", "truncated", "delay", "drip", "hang", "reset"}:
            raise ValueError(f"no such REST fault: {mode}")
        return self._faults.add(
            Kind.REST,
            mode=mode,
            status=status,
            body=body,
            headers=headers or {},
            path=path,
            symbol=symbol,
            seconds=seconds,
            left=count,
            share=share,
        )

    def ban(self, seconds: float) -> int:
        """418 with the real text until ``seconds`` from now; returns that time, UTC milliseconds."""
        until = self._venue.clock.now_ms() + int(seconds * 1000)
        self._budget.refuse(418, until, str(max(1, round(seconds))))
        return until

    def too_many(self, seconds: float, *, retry_after: str | None = None) -> int:
        """429 until ``seconds`` from now; returns that time, UTC milliseconds.

        ``retry_after`` None is the seconds, "date" the time as an HTTP date, "" leaves the header out.
        """
        clock = self._venue.clock
        until = clock.now_ms() + int(seconds * 1000)
        told = {
            None: str(max(1, round(seconds))),
            "date": formatdate(-(-(until + clock.skew_ms) // 1000), usegmt=True),
        }
        self._budget.refuse(429, until, told.get(retry_after, retry_after) or None)
        return until

    def spend_weight(self, weight: int) -> int:
        """Use up weight of the running minute as another process would; returns what is used now."""
        self._budget.spend(weight)
        return self._budget.used

    def weight_limit(self, limit: int, *, in_seconds: float = 0.0) -> None:
        """Another limit of weight a minute: exchangeInfo tells it now, requests are refused by it from then on."""
        if limit < 1:
            raise ValueError(f"no such limit: {limit}")
        self._venue.universe.tell_weight_limit(limit)
        self._budget.change_limit(limit, self._venue.clock.now_ms() + int(in_seconds * 1000))
        self._faults.count("weight_limit")

    def early_rows(self, symbol: str | None = None, *, count: int | None = None) -> Fault:
        """REST has a closed minute's row before its delay has passed, with values that are not final."""
        return self._faults.add(Kind.EARLY_ROWS, symbol=self._known(symbol), left=count)

    def clock_skew(self, seconds: float) -> None:
        """Every time the exchange states (E, ``/time``) is off; minutes close as before. Counted as fired."""
        self._venue.clock.skew_ms = int(seconds * 1000)
        self._faults.count("clock_skew")
