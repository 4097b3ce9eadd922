"""UDF's words for prices and resolutions."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.api.market.intervals import INTERVALS
from src.api.market.resolutions import RESOLUTIONS, Resolution, interval_of, price_steps, symbol_of


@pytest.mark.parametrize(
    ("tick", "steps"),
    [
        ("0.10", (1, 10)),
        ("0.0500", (5, 100)),
        ("1", (1, 1)),
        ("10", (10, 1)),
        ("0.00000010", (1, 10_000_000)),
        ("", (1, 10_000)),
        ("NaN", (1, 10_000)),
        ("-1", (1, 10_000)),
        ("1e-30", (1, 10_000)),
    ],
)
def test_a_tick_size_is_a_step_and_a_scale(tick: str, steps: tuple[int, int]) -> None:
    assert price_steps(tick) == steps


@given(st.decimals("0.00000001", "1000", allow_nan=False, places=8))
def test_steps_divide_out_to_the_tick(tick: Decimal) -> None:
    minmov, pricescale = price_steps(str(tick))
    assert Decimal(minmov) / pricescale == tick


def test_every_resolution_is_an_interval() -> None:
    assert [interval_of(resolution) for resolution in get_args(Resolution)] == [*INTERVALS, "1d", "1w"]
    assert get_args(Resolution) == (*RESOLUTIONS, "D", "W")
    for resolution in get_args(Resolution):
        length_ms = INTERVALS[interval_of(resolution)].length_ms
        unit = {"D": 1440, "W": 10_080}.get(resolution[-1], 1)
        assert int(resolution.rstrip("DW") or 1) * unit * 60_000 == length_ms


def test_the_exchange_may_stand_before_the_symbol() -> None:
    assert symbol_of("BINANCE:BTCUSDT") == symbol_of("BTCUSDT") == "BTCUSDT"
