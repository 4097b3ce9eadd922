"""What ``benchmarks/soak.py`` makes of its samples."""

from __future__ import annotations

import math
import time
from typing import Any, cast

import pytest

from benchmarks import soak
from benchmarks.soak import Sample, minima, slope


def _samples(seconds: int, *, growth: float, noise: float) -> list[Sample]:
    """Every ten seconds; memory that grows by ``growth`` MB an hour, with ever larger peaks above it."""
    return [
        Sample(1800.0 + at, 200 + growth * at / 3600 + (noise * (at // 300) if at % 60 else 0), 40, 12, 41)
        for at in range(0, seconds, 10)
    ]


@pytest.mark.parametrize("growth", [0.0, 0.9, 5.0, -3.0])
def test_the_slope_is_that_of_the_floor(growth: float) -> None:
    points = minima(_samples(7200, growth=growth, noise=30.0))
    assert len(points) == 24
    assert slope(points) == pytest.approx(growth, abs=0.02)


def test_what_is_not_whole_does_not_count() -> None:
    assert len(minima(_samples(890, growth=0, noise=1))) == 2
    assert minima([]) == []
    assert math.isnan(slope(minima(_samples(300, growth=0, noise=1))))


def test_a_run_of_which_nothing_would_be_looked_at_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was found out at its end, and its samples were lost."""
    monkeypatch.setattr(soak, "HOURS", 0.5)
    monkeypatch.setattr(soak, "WARM_S", 1800.0)
    with pytest.raises(SystemExit, match=r"MARKETD_SOAK_HOURS=0\.5: the first 30 min"):
        soak.run()


def test_a_daemon_that_answers_no_more_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer that does not come is a sample less; after ten minutes of them nothing is to be waited for."""
    asked = 0

    def silent(*_: object) -> Sample:
        nonlocal asked
        asked += 1
        raise ConnectionRefusedError

    monkeypatch.setattr(soak, "HOURS", 24.0)
    monkeypatch.setattr(soak, "_sample", silent)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(soak, "_SILENT_S", 0.01)
    with pytest.raises(ConnectionRefusedError):
        soak._soaked("", cast("Any", None), "")
    assert asked > 1
