"""The same seed is the same schedule; what a schedule is made of."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from tests.chaos.plan import plan
from tests.chaos.schedule import LEAST_S, MOST_S, Draw, schedule


def test_a_seed_is_a_schedule() -> None:
    first, again, other = plan(7, 60.0), plan(7, 60.0), plan(8, 60.0)
    assert first.schedule == again.schedule
    assert (first.filling, first.dated) == (again.filling, again.dated)
    assert first.schedule.events != other.schedule.events


@pytest.mark.parametrize("seed", range(20))
def test_each_lane_has_one_fault_at_a_time(seed: int) -> None:
    made = plan(seed, 60.0)
    for lane in made.lanes:
        events = made.schedule.of_lane(lane)
        assert all(one.at + one.seconds <= two.at + 0.02 for one, two in pairwise(events)), lane
        for event in events:
            assert LEAST_S <= event.seconds <= MOST_S
            assert event.at + event.seconds <= 60.01
            assert json.loads(json.dumps(event.arguments)) == {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in event.arguments.items()
            }
            assert callable(made.act(lane, event.fault))


def test_an_archive_that_is_read_is_wrong_from_the_beginning() -> None:
    """Its files are read in the first seconds of the process, before the first fault of its lane."""
    made = [plan(seed, 25.0) for seed in range(40)]
    assert {one.filling for one in made} == {True, False}
    assert [one.filling for one in made] == [one.at_first is not None for one in made]
    assert made[8].at_first == plan(8, 60.0).at_first


def test_every_fault_comes_up() -> None:
    """Over many seeds each fault of each lane is drawn: none of them stands there for nothing."""
    named: set[tuple[str, str]] = set()
    drawn: set[tuple[str, str]] = set()
    for seed in range(60):
        made = plan(seed, 120.0)
        named |= {(lane, fault.name) for lane, faults in made.lanes.items() for fault in faults}
        drawn |= {(event.lane, event.fault) for event in made.schedule.events}
    assert drawn == named


def test_another_lane_changes_no_lane() -> None:
    one: list[tuple[str, Draw]] = [("a", lambda _: {})]
    two: list[tuple[str, Draw]] = [("b", lambda dice: {"n": dice.random()})]
    alone, beside = schedule(5, 60.0, {"two": two}), schedule(5, 60.0, {"one": one, "two": two})
    assert alone.of_lane("two") == beside.of_lane("two")
