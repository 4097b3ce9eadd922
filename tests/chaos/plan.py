"""Which faults may meet in a run: the lanes, and the worlds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from . import links, process, server, venue
from .ground import Act, Fault
from .schedule import Arguments, Schedule, schedule


@dataclass(frozen=True, slots=True)
class Plan:
    """One run before it begins; all of it follows from the seed and the seconds.

    ``filling``: a world with three and a half days behind it and ``--backfill``; else one of live candles alone.
    ``dated``: the process has a date of its own, which steps.
    """

    filling: bool
    dated: bool
    lanes: Mapping[str, tuple[Fault, ...]]
    schedule: Schedule
    at_first: Arguments | None
    """What is wrong with the archive before the process starts, which reads it in its first seconds: the lane's faults
    may come too late for that. None in a world without a past."""

    def act(self, lane: str, fault: str) -> Act:
        return next(one.act for one in self.lanes[lane] if one.name == fault)


def plan(seed: int, seconds: float) -> Plan:
    """The run of a seed."""
    dice = Random(f"{seed} world")
    filling, dated, restarts = dice.random() < 0.3, dice.random() < 0.3, dice.random() < 0.3
    lanes: dict[str, tuple[Fault, ...]] = {
        "frames": venue.FRAMES,
        "connections": venue.CONNECTIONS,
        "rest": venue.REST,
        "limits": venue.LIMITS,
        # What the ledger says of a past is checked symbol by symbol, so nobody comes and goes there.
        "venue": venue.RESTARTS if restarts or filling else venue.LISTINGS,
        "server": server.SERVER,
        "process": process.PROCESS if dated else process.PROCESS + process.BLOCKS,
        **{f"{link} link": links.faults_of(link) for link in links.LINKS},
    }
    if filling:
        lanes["archive"] = venue.ARCHIVE
    if dated:
        lanes["date"] = process.DATE
    drawn = schedule(
        seed, seconds, {lane: [(one.name, one.draw) for one in faults] for lane, faults in lanes.items()}
    )
    dice = Random(f"{seed} archive at first")
    at_first = dice.choice(venue.ARCHIVE).draw(dice) if filling else None
    return Plan(filling, dated, lanes, drawn, at_first)
