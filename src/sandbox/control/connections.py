"""Control of connections: how they begin, end and hang."""

from __future__ import annotations

from ..faults import Fault, Kind
from ..stream.connections import Connection
from .part import ControlPart


class ConnectionFaults(ControlPart):
    """Faults of the connections."""

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
