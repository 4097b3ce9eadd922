"""The life of one connection: dial, subscribe, read, watch, end."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection
from typing import Any

from ....errors import Unavailable
from ....telemetry.log import get_logger
from ....telemetry.pulse import Pulse, aside, current
from .. import venue
from .feed import stream_name
from .frame_counts import CountsReporter
from .options import OWN_STREAMS
from .pacing import SlidingWindow
from .shared import Shared
from .subscriptions import Subscriptions
from .transport import BinanceConnection

_TICK_WALL_S = 0.5
_RETRY_REFUSED_S = 30.0
_log = get_logger("stream")


class Link:
    """One connection from dial to end; it is used once. ``on_news`` is called when a property changed."""

    def __init__(
        self, name: str, shared: Shared, symbols: Collection[str], on_news: Callable[[], None]
    ) -> None:
        self.name = name
        self.reason = ""
        self.delivered = False
        """A data frame came: acks prove nothing."""
        self.ready = False
        """Every stream is acknowledged and data flows: another connection may let go of these symbols."""
        self.due = False
        """It is time for a replacement."""
        self._shared = shared
        self._on_news = on_news
        self._state = ""
        self._over = False
        options = shared.options
        self._subscriptions = Subscriptions(
            options.names_per_request, (venue.CANARY_STREAM, venue.CONTRACT_STREAM)
        )
        self._subscriptions.want(map(self._stream, symbols))
        self._changed = asyncio.Event()
        self._connection = BinanceConnection(
            name,
            shared.dialer,
            now=shared.clock.now,
            queue_frames=options.queue_frames,
            write_wall=options.write_wall,
            close_wall=options.close_wall,
            on_reply=self._replied,
        )
        self._reporter = CountsReporter(
            self._connection.counts, shared.metrics, options.source, trades=shared.frames.trades
        )
        self._takeover_at = 0.0
        self._complete_since = math.inf
        self._round_trip = 0.0
        """Wall seconds that the handshake took: a slow line gets twice that more time to answer."""

    def is_over(self) -> bool:
        """True once ``run`` has returned; nothing comes from this link any more."""
        return self._over

    @property
    def shutdown_announced(self) -> bool:
        """The venue said that it is about to close this connection."""
        return self._connection.shutdown_announced

    @property
    def symbols_confirmed(self) -> int:
        """Symbols that the venue has acknowledged on this connection, 0 before the first data."""
        return max(self._subscriptions.confirmed - OWN_STREAMS, 0) if self.delivered else 0

    def want(self, symbols: Collection[str]) -> None:
        """Carry exactly these symbols; the difference is asked for while running."""
        self._subscriptions.want(map(self._stream, symbols))
        self._changed.set()

    def again(self, symbol: str) -> None:
        """Unsubscribe and subscribe a symbol."""
        self._subscriptions.again(self._stream(symbol))
        self._changed.set()

    def postpone(self, seconds: float) -> None:
        """The replacement failed: ask for it again that many venue seconds later."""
        self.due = False
        self._takeover_at = self._shared.clock.monotonic() + seconds

    async def retire(self) -> None:
        """End properly: another connection has these symbols."""
        self._enter("draining")
        await self._connection.close()

    async def run(self) -> None:
        """Live until the connection ends, then ``reason`` says why. Cancelled, it says goodbye with 1000."""
        self._enter("connecting")
        try:
            await self._shared.gate.permit()
            await self._live()
        except Unavailable as error:
            self.reason = self.reason or error.reason
            _log.warning("stream_unreachable", msg=str(error), reason=error.reason, connection=self.name)
        finally:
            self._reporter.report()
            self._over = True
            self._enter("")
            self._on_news()

    async def _live(self) -> None:
        attempts = self._shared.metrics.ws_connection_attempts
        dialed = asyncio.get_running_loop().time()
        try:
            await (
                self._connection._open()
            )  # cryptofeed's connect() would hide from a failed close what failed
        except Unavailable as error:
            attempts.labels(result=_result(error.reason)).inc()
            raise
        attempts.labels(result="ok").inc()
        self._round_trip = asyncio.get_running_loop().time() - dialed
        self._takeover_at = self._shared.clock.monotonic() + self._shared.takeover_age()
        pulse = current()
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read(), name=f"stream-{self.name}-read")
                with aside():  # they go on by the clock, which says nothing of the reading
                    helpers = [
                        tasks.create_task(self._ask(), name=f"stream-{self.name}-ask"),
                        tasks.create_task(self._watch(pulse), name=f"stream-{self.name}-watch"),
                    ]
                self.reason = await self._connection.wait_ended()
                await reading
                for helper in helpers:
                    helper.cancel()
        finally:
            await self._connection.close()

    async def _read(self) -> None:
        connection = self._connection
        async for frame in connection.read():
            await self._shared.frames.handle(frame, connection, connection.counts)

    async def _ask(self) -> None:
        """Send requests, never faster than our own limit."""
        options, loop = self._shared.options, asyncio.get_running_loop()
        pace = SlidingWindow(1, 1 / options.requests_per_second)
        while self._connection.is_open:
            self._changed.clear()
            request = self._subscriptions.next()
            if request is None:
                await self._changed.wait()
                continue
            await asyncio.sleep(pace.delay(loop.time()))
            pace.take(loop.time())
            try:
                await self._connection.write(request.text())
            except Unavailable as error:
                _log.warning("stream_write_failed", msg=str(error), reason=error.reason, connection=self.name)
                return  # the connection is over; its end is told elsewhere

    def _replied(self, reply: dict[str, Any]) -> None:
        """``{"result":null,"id":1}`` or ``{"error":{"code":2,"msg":"..."},"id":1}``."""
        refused = "error" in reply
        request = self._subscriptions.answered(reply.get("id"), refused=refused)
        if refused:
            self._shared.metrics.ws_request_errors.inc()
            _log.warning(
                "stream_request_refused",
                msg=f"the venue refused a request: {reply['error']!r:.200}",
                names=len(request.names) if request else 0,
                connection=self.name,
            )
        self._changed.set()

    async def _watch(self, pulse: Pulse) -> None:
        """Once a tick: hand on the counts, and end a connection that has been silent for too long.

        ``pulse`` is told when data comes and is taken: a connection of symbols that sleep has nothing else to show.
        """
        loop, options = asyncio.get_running_loop(), self._shared.options
        limit = (
            self._shared.clock.wall(options.idle_s, at_least=options.idle_floor_wall) + 2 * self._round_trip
        )
        tick = min(_TICK_WALL_S, limit / 4)
        fresh = looked = loop.time()
        refused_at = self._shared.clock.monotonic()
        while True:
            await asyncio.sleep(tick)
            stalled = loop.time() - looked > 2 * tick
            looked = loop.time()
            if self._reporter.report():
                fresh = looked
                if self._connection.is_read:
                    pulse.beat()
                if not self._shared.frames.trades:  # trades that flow say nothing about candles
                    self._shared.metrics.ws_last_data.set(self._shared.clock.now())
            elif stalled:
                fresh = looked  # our own loop stood still: the other side gets its time again
            if looked - fresh > limit:
                self._connection.end("idle")
                return
            if self._shared.clock.monotonic() - refused_at > _RETRY_REFUSED_S:
                refused_at = self._shared.clock.monotonic()
                self._subscriptions.release()
                self._changed.set()
            self._look()

    def _look(self) -> None:
        """Notice first data, readiness and the time to be replaced."""
        now = self._shared.clock.monotonic()
        before = (self.delivered, self.ready, self.due)
        if self._connection.counts.data:
            if not self.delivered:
                _log.info("stream_live", msg=f"connection {self.name} delivers", connection=self.name)
            self.delivered = True
            if self._state == "connecting":
                self._enter("live")
        self.ready = self.ready or self._is_ready(now)
        if self.shutdown_announced or now >= self._takeover_at:
            self.due = True
        if before != (self.delivered, self.ready, self.due):
            self._on_news()
        self._shared.update_subscribed()

    def _is_ready(self, now: float) -> bool:
        counts = self._connection.counts
        if not self._subscriptions.is_complete or not counts.canary:
            return False
        self._complete_since = min(self._complete_since, now)
        quiet = now - self._complete_since > self._shared.options.takeover_quiet_s
        return counts.market > 0 or quiet

    def _stream(self, symbol: str) -> str:
        return stream_name(symbol, self._shared.frames.suffix)

    def _enter(self, state: str) -> None:
        """Change the state that the gauge of connections shows; empty is none."""
        gauge = self._shared.metrics.ws_connections
        if self._state:
            gauge.labels(state=self._state).dec()
        if state:
            gauge.labels(state=state).inc()
        self._state = state


def _result(reason: str) -> str:
    """The bounded result of an attempt that failed: timeout, refused (an HTTP answer), failed."""
    if reason == "timeout":
        return reason
    return "refused" if reason.startswith("handshake_") else "failed"
