"""The control API: every fault and change as one method. ``control_http`` offers the same over HTTP.

Seconds are exchange seconds unless the method says wall. ``count`` is how often a fault fires before it ends,
None until it is cleared; ``share`` is the part of the occasions on which it fires.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from .broadcast import Broadcaster
from .faults import Fault, Kind
from .frames import ws_frame, ws_header
from .limits import Budget
from .malformed import BREAKING, CORPUS, HUGE_BYTES
from .market import MINUTE_MS
from .stream import Connection, Hub
from .universe import SETTLING, TRADING, Instrument


class Control:
    """What a test can do to the exchange. Raises ``ValueError`` for names and numbers that do not exist."""

    def __init__(self, hub: Hub, broadcaster: Broadcaster, budget: Budget) -> None:
        self._hub, self._broadcaster, self._budget = hub, broadcaster, budget
        self._venue = hub.venue
        self._faults = hub.venue.faults

    # --- what is delivered -------------------------------------------------------------------------------

    def silence(self, *, connection: int | None = None, count: int | None = None) -> Fault:
        """Acks and pongs go on, but no data comes: on one connection, or on all, later ones included."""
        return self._faults.add(Kind.SILENCE, connection=connection, left=count)

    def mute(
        self, symbol: str | None = None, *, connection: int | None = None, until: str = "cleared"
    ) -> Fault:
        """No klines of one symbol (None: of any), everywhere or on one connection.

        ``until="resubscribe"`` ends it when the symbol's stream is subscribed again.
        """
        if until not in {"cleared", "resubscribe"}:
            raise ValueError(f"until: cleared or resubscribe, was {until}")
        return self._faults.add(Kind.MUTE, symbol=self._known(symbol), connection=connection, mode=until)

    def drop_close(self, symbol: str | None = None, *, count: int | None = None, share: float = 1.0) -> Fault:
        """Closed frames are never sent; open frames and REST are as ever."""
        return self._faults.add(Kind.DROP_CLOSE, symbol=self._known(symbol), left=count, share=share)

    def late_close(
        self, seconds: float, symbol: str | None = None, *, count: int | None = None, share: float = 1.0
    ) -> Fault:
        """Closed frames come that much later than their delay; REST does not."""
        return self._faults.add(
            Kind.LATE_CLOSE, symbol=self._known(symbol), seconds=seconds, left=count, share=share
        )

    def shuffle(
        self, seconds: float = 130.0, symbol: str | None = None, *, count: int | None = None
    ) -> Fault:
        """Closed frames come late by a different part of ``seconds`` each, so in no order."""
        return self._faults.add(Kind.SHUFFLE, symbol=self._known(symbol), seconds=seconds, left=count)

    def duplicate(
        self, symbol: str | None = None, *, copies: int = 1, count: int | None = None, share: float = 1.0
    ) -> Fault:
        """Each closed frame is followed by copies of itself."""
        return self._faults.add(
            Kind.DUPLICATE, symbol=self._known(symbol), copies=copies, left=count, share=share
        )

    def wrong_time(
        self,
        symbol: str | None = None,
        *,
        unit: str = "ms",
        shift_s: float = 0.0,
        count: int | None = None,
        share: float = 1.0,
    ) -> Fault:
        """Closed frames state E, t and T shifted, or in another unit (``us``, ``s``)."""
        if unit not in {"ms", "us", "s"}:
            raise ValueError(f"unit: ms, us or s, was {unit}")
        return self._faults.add(
            Kind.WRONG_TIME, symbol=self._known(symbol), mode=unit, seconds=shift_s, left=count, share=share
        )

    def burst(self, times: int = 5) -> int:
        """The last final minute's closes of every subscribed symbol, ``times`` over, at once; frames sent."""
        sent = self._broadcaster.burst(times)
        self._faults.count("burst", sent)
        return sent

    def malformed(self, names: Iterable[str] | None = None, *, connection: int | None = None) -> int:
        """Frames of the corpus, each to every connection (or one), once; how many were sent.

        None is the whole of ``malformed.CORPUS``. By name only, because they end a connection: ``huge`` (one
        frame of 100 MB), ``unfinished`` (a message whose fragments never end), ``cut`` (half a frame, then FIN).
        """
        chosen = list(CORPUS) if names is None else list(names)
        if unknown := [name for name in chosen if name not in CORPUS and name not in BREAKING]:
            raise ValueError(f"no such malformed frame: {', '.join(unknown)}")
        targets = self._targets(connection)
        for one in targets:
            for name in chosen:
                self._spoil(one, name)
        self._faults.count("malformed", len(targets) * len(chosen))
        return len(targets) * len(chosen)

    def _spoil(self, connection: Connection, name: str) -> None:
        if name in CORPUS:
            connection.out.append(CORPUS[name])
            connection.flush()
        elif name == "cut":
            connection.transport.write(ws_frame(b'{"stream":"btcusdt@kline_1m","data"')[:20])
            connection.close(1006)
        elif name == "unfinished":
            connection.transport.write(ws_frame(b'{"x":true,"never":"', final=False))
            connection.fragmenting = True
        else:
            connection.jammed = True
            self._hub.spawn(_send_huge(connection), f"sandbox-huge-{connection.number}")

    # --- connections -------------------------------------------------------------------------------------

    def close(self, code: int = 1001, *, connection: int | None = None, text: str = "") -> int:
        """Close one connection or all with a code; 1006 is FIN without a close frame. Returns how many."""
        return self._each("close", connection, lambda one: one.close(code, text))

    def reset(self, *, connection: int | None = None) -> int:
        """RST one connection or all; returns how many."""
        return self._each("reset", connection, lambda one: one.reset())

    def shutdown_event(self, *, connection: int | None = None, then_close: bool = True) -> int:
        """The ``serverShutdown`` event, and a close with 1001 after it; returns how many got it."""
        event = b'{"e":"serverShutdown","E":%d}' % self._venue.clock.stated_ms()

        def shut(one: Connection) -> None:
            one.say(event)
            if then_close:
                one.close(1001, "Server shutdown")

        return self._each("shutdown_event", connection, shut)

    def stop_reading(
        self, *, connection: int | None = None, new: bool = False, count: int | None = None
    ) -> int:
        """Read nothing more from one connection or all; with ``new`` also not from those that come later.

        Returns how many stopped at once. Cleared faults read again.
        """
        stopped = self._each("stop_reading", connection, lambda one: one.stop_reading(True))
        if new or not stopped:
            self._faults.add(Kind.STOP_READING, connection=connection, left=count)
        return stopped

    def handshake(
        self,
        status: int = 503,
        *,
        html: bool = False,
        location: str = "",
        body: str = "",
        count: int | None = None,
        path: str | None = None,
    ) -> Fault:
        """WebSocket handshakes are answered with an HTTP status instead; 0 is a RST, 3xx takes ``location``."""
        headers = {"Location": location} if location else {}
        mode = "html" if html else "text"
        return self._faults.add(
            Kind.HANDSHAKE, status=status, mode=mode, body=body, headers=headers, left=count, path=path
        )

    def max_age(self, seconds: float, *, count: int | None = None) -> Fault:
        """Connections are cut at this age instead of 24 hours."""
        return self._faults.add(Kind.MAX_AGE, seconds=seconds, left=count)

    # --- REST --------------------------------------------------------------------------------------------

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
        """429 until ``seconds`` from now; ``retry_after`` None is the seconds, "" leaves the header out."""
        until = self._venue.clock.now_ms() + int(seconds * 1000)
        text = str(max(1, round(seconds))) if retry_after is None else retry_after
        self._budget.refuse(429, until, text or None)
        return until

    def spend_weight(self, weight: int) -> int:
        """Use up weight of the running minute as another process would; returns what is used now."""
        self._budget.spend(weight)
        return self._budget.used

    def early_rows(self, symbol: str | None = None, *, count: int | None = None) -> Fault:
        """REST has a closed minute's row before its delay has passed, with values that are not final."""
        return self._faults.add(Kind.EARLY_ROWS, symbol=self._known(symbol), left=count)

    def clock_skew(self, seconds: float) -> None:
        """Every time the exchange states (E, ``/time``) is off; minutes close as before. Counted as fired."""
        self._venue.clock.skew_ms = int(seconds * 1000)
        self._faults.count("clock_skew")

    # --- listings ----------------------------------------------------------------------------------------

    def list_symbol(
        self, symbol: str, *, in_seconds: float = 0.0, contract_type: str = "PERPETUAL"
    ) -> dict[str, Any]:
        """A listing, also under a delisted name: PENDING_TRADING until its onboard time; its exchangeInfo entry."""
        now = self._venue.clock.now_ms()
        onboard = now + int(in_seconds * 1000)
        return self._announce(self._venue.universe.list_symbol(symbol, onboard, now, contract_type))

    def delist(self, symbol: str, *, status: str = SETTLING, remove: bool = False) -> dict[str, Any]:
        """The running minute is the last one; ``remove`` takes it off exchangeInfo altogether."""
        return self._end(symbol, status, remove=remove, final=True)

    def halt(self, symbol: str, *, status: str = "PRE_SETTLE") -> dict[str, Any]:
        """Trading pauses at the end of the running minute; there are no candles until ``resume``."""
        return self._end(symbol, status, remove=False, final=False)

    def resume(self, symbol: str) -> dict[str, Any]:
        """A halted symbol trades again from the next minute on."""
        instrument = self._venue.universe.find(symbol)
        if instrument.info["status"] == TRADING:
            raise ValueError(f"{symbol} is trading")
        return self._announce(self._venue.universe.resume(symbol, self._venue.clock.now_ms()))

    def _end(self, symbol: str, status: str, *, remove: bool, final: bool) -> dict[str, Any]:
        now = self._venue.clock.now_ms()
        return self._announce(self._venue.universe.end(symbol, now, status=status, gone=remove, final=final))

    def _announce(self, instrument: Instrument) -> dict[str, Any]:
        self._broadcaster.announce(instrument)
        self._hub.flush()
        self._faults.count("listing")
        return dict(instrument.info)

    # --- sight -------------------------------------------------------------------------------------------

    def connections(self) -> list[dict[str, Any]]:
        """The open connections: number, path, age in exchange seconds, streams."""
        now = self._venue.clock.now_ms()
        return [
            {
                "number": one.number,
                "path": one.path,
                "age_s": (now - one.opened_ms) / 1000,
                "streams": list(one.streams),
            }
            for one in self._hub.connections.values()
        ]

    def stats(self) -> dict[str, Any]:
        """Counters (see ``Stats``), how often each fault fired, those in force, and the weight just used."""
        return self._venue.stats.as_dict() | {
            "fired": {str(kind): number for kind, number in self._faults.fired.items()},
            "faults": self._faults.as_list(),
            "weight_used": self._budget.used,
        }

    def clear(self) -> None:
        """End every fault, ban and skew; listings stay as they are."""
        self._faults.clear()
        self._budget.forgive()
        self._venue.clock.skew_ms = 0
        for connection in self._hub.connections.values():
            connection.stop_reading(False)

    def end_fault(self, number: int) -> None:
        """End one fault by its number."""
        self._faults.remove(self._faults.number(number))

    def _known(self, symbol: str | None) -> str | None:
        return None if symbol is None else self._venue.universe.find(symbol).symbol

    def _targets(self, number: int | None) -> list[Connection]:
        usable = [one for one in self._hub.connections.values() if one.usable]
        return [one for one in usable if number is None or one.number == number]

    def _each(self, name: str, number: int | None, act: Any) -> int:
        targets = self._targets(number)
        for connection in targets:
            act(connection)
        self._faults.count(name, len(targets))
        return len(targets)


async def _send_huge(connection: Connection) -> None:
    """One text frame of 100 MB, in pieces, as fast as the client reads, until it gives up."""
    piece = b"x" * MINUTE_MS
    connection.transport.write(ws_header(HUGE_BYTES))
    for _ in range(HUGE_BYTES // len(piece) + 1):
        while connection.usable and connection.transport.get_write_buffer_size() > 10 * len(piece):  # noqa: ASYNC110
            await asyncio.sleep(
                0.01
            )  # the transport belongs to aiohttp, which keeps its drain event to itself
        if not connection.usable:
            return
        connection.transport.write(piece)
