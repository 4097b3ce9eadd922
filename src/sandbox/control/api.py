"""The control API: every fault and change as one method. ``http`` offers the same over HTTP."""

from __future__ import annotations

from typing import Any

from .archive import ArchiveFaults
from .chain import ChainFaults
from .connections import ConnectionFaults
from .listings import Listings
from .rest import RestFaults
from .stream import StreamFaults


class Control(StreamFaults, ConnectionFaults, RestFaults, ArchiveFaults, ChainFaults, Listings):
    """What a test can do to the exchange, and what it can see of it."""

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
        """End every fault, ban and skew; listings and the limit of weight stay as they are."""
        self._faults.clear()
        self._budget.forgive()
        self._venue.clock.skew_ms = 0
        self._venue.chain.pruned_below = 0
        for connection in self._hub.connections.values():
            connection.stop_reading(False)

    def end_fault(self, number: int) -> None:
        """End one fault by its number."""
        self._faults.remove(self._faults.number(number))
