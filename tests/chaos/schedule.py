"""When which fault happens: a pure function of the seed, so that what was seen can be seen again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

Arguments = dict[str, Any]
Draw = Callable[[Random], Arguments]
"""The arguments of one occurrence; JSON can write them."""

LEAST_S, MOST_S = 0.5, 5.0
"""Wall seconds that a fault lasts: some are over before anybody noticed, some outlast timeouts and backoffs."""
CALM_S = 4.0
"""Wall seconds between two faults of one lane, in the mean."""


@dataclass(frozen=True, slots=True)
class Event:
    """One fault: ``at`` and ``seconds`` are wall seconds since the beginning, and how long it lasts."""

    at: float
    lane: str
    fault: str
    seconds: float
    arguments: Arguments

    def __str__(self) -> str:
        told = json.dumps(self.arguments, ensure_ascii=False)
        return f"{self.at:7.2f} s  {self.lane:10} {self.fault:18} {self.seconds:4.1f} s  {told}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """What one run does; events are in the order of their beginning."""

    seed: int
    seconds: float
    events: tuple[Event, ...]

    def of_lane(self, lane: str) -> list[Event]:
        return [event for event in self.events if event.lane == lane]


def schedule(seed: int, seconds: float, lanes: Mapping[str, Sequence[tuple[str, Draw]]]) -> Schedule:
    """A run of so many seconds. In a lane one fault follows the other, the lanes know nothing of each other.

    Each lane has dice of its own: a fault that is added to one of them changes no other.
    """
    events = [event for lane, faults in lanes.items() for event in _lane(lane, faults, seed, seconds)]
    return Schedule(seed, seconds, tuple(sorted(events, key=lambda event: (event.at, event.lane))))


def _lane(lane: str, faults: Sequence[tuple[str, Draw]], seed: int, seconds: float) -> list[Event]:
    dice = Random(f"{seed} {lane}")
    events: list[Event] = []
    at = dice.expovariate(1 / CALM_S)
    while at < seconds - LEAST_S:
        name, draw = dice.choice(faults)
        lasts = round(min(dice.uniform(LEAST_S, MOST_S), seconds - at), 2)
        events.append(Event(round(at, 2), lane, name, lasts, draw(dice)))
        at += lasts + dice.expovariate(1 / CALM_S)
    return events
