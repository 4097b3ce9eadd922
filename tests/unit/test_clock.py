"""The venue's clock: monotonic, adjustable, and as fast as told."""

from __future__ import annotations

import asyncio
import time

import pytest

from src.clock import VenueClock
from src.errors import ConfigError


@pytest.mark.parametrize("speed", [0.0, -1.0, 1001.0, float("nan")])
def test_an_impossible_speed_is_refused(speed: float) -> None:
    with pytest.raises(ConfigError, match="speed"):
        VenueClock(speed=speed)


def test_the_clock_starts_where_it_is_told_and_counts_at_its_speed() -> None:
    clock = VenueClock(speed=100, start=1_000_000.0)
    before = time.monotonic()
    first = clock.now()
    after = time.monotonic()
    while time.monotonic() - after < 0.01:
        pass
    elapsed = clock.now() - first
    assert first >= 1_000_000.0
    assert 0.999 <= elapsed <= (time.monotonic() - before) * 100


def test_setting_the_clock_moves_now_but_not_monotonic() -> None:
    clock = VenueClock(start=1_000_000.0)
    monotonic = clock.monotonic()
    change = clock.set(2_000_000.0)
    assert change == pytest.approx(1_000_000.0, abs=1.0)
    assert clock.now() == pytest.approx(2_000_000.0, abs=1.0)
    assert clock.monotonic() - monotonic < 1.0
    assert clock.is_set
    assert clock.offset == pytest.approx(1_000_000.0, abs=1.0)


def test_a_step_of_the_computers_date_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = VenueClock()
    before = clock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert clock.now() - before < 1.0


def test_wall_scales_and_keeps_its_floor() -> None:
    clock = VenueClock(speed=20)
    assert clock.wall(10) == 0.5
    assert clock.wall(10, at_least=3) == 3


async def test_sleep_until_sleeps_again_when_the_clock_is_set_back() -> None:
    clock = VenueClock(speed=100, start=1000.0)
    woken = asyncio.create_task(clock.sleep_until(1002.0), name="sleeper")
    await asyncio.sleep(0)
    clock.set(999.0)
    await woken
    assert clock.now() >= 1002.0
