"""What the parts of the control API share."""

from __future__ import annotations

from collections.abc import Callable

from ..rest.limits import Budget
from ..stream.broadcast import Broadcaster
from ..stream.connections import Connection, Hub


class ControlPart:
    """Raises ``ValueError`` for names and numbers that do not exist. Seconds are exchange seconds unless the
    method says wall; ``count`` is how often a fault fires before it ends, None until it is cleared; ``share``
    is the part of the occasions on which it fires.
    """

    def __init__(self, hub: Hub, broadcaster: Broadcaster, budget: Budget) -> None:
        self._hub, self._broadcaster, self._budget = hub, broadcaster, budget
        self._venue = hub.venue
        self._faults = hub.venue.faults

    def _known(self, symbol: str | None) -> str | None:
        return None if symbol is None else self._venue.universe.find(symbol).symbol

    def _targets(self, number: int | None) -> list[Connection]:
        usable = [one for one in self._hub.connections.values() if one.usable]
        return [one for one in usable if number is None or one.number == number]

    def _each(self, name: str, number: int | None, act: Callable[[Connection], None]) -> int:
        targets = self._targets(number)
        for connection in targets:
            act(connection)
        self._faults.count(name, len(targets))
        return len(targets)
