"""Which symbol and which connection a fault of the chaos runs is about."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.chaos.ground import Ground, Refused


class _Venue:
    """A venue whose first connections have ended long ago."""

    symbols = ("AUSDT", "BUSDT")

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers
        self.told: list[tuple[str, dict[str, Any]]] = []

    async def connections(self) -> list[dict[str, Any]]:
        return [{"number": number} for number in self._numbers]

    async def control(self, command: str, **arguments: Any) -> int:
        self.told.append((command, arguments))
        return 1


def _ground(venue: _Venue) -> Ground:
    unused = cast("Any", None)
    return Ground(cast("Any", SimpleNamespace(venue=venue)), unused, unused, None)


async def test_a_place_is_one_of_the_connections_that_are_open() -> None:
    venue = _Venue(31, 40, 41)
    ground = _ground(venue)
    for place in (0, 4, None):
        await ground.control("reset", {"connection": place})
    await ground.control("mute", {"symbol": 3})
    assert venue.told == [
        ("reset", {"connection": 31}),
        ("reset", {"connection": 40}),
        ("reset", {"connection": None}),
        ("mute", {"symbol": "BUSDT"}),
    ]


async def test_without_a_connection_there_is_nothing_to_act_on() -> None:
    venue = _Venue()
    with pytest.raises(Refused):
        await _ground(venue).control("close", {"connection": 2, "code": 1001})
    assert venue.told == []
