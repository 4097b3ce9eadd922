"""Candles made by the thousand are those that are made one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.sandbox.market.bulk import csv_rows, lines
from src.sandbox.market.candles import MINUTE_MS, candle, decimal, traits
from src.sandbox.options import SandboxOptions
from src.sandbox.venue import Venue

START_MS = 1_780_000_020_000
MINUTE = START_MS // MINUTE_MS


def one_by_one(symbol: Any, first: int, end: int) -> bytes:
    return "".join(",".join(map(str, candle(symbol, minute))) + "\n" for minute in range(first, end)).encode()


@pytest.mark.parametrize("sleeper_share", [0.0, 1.0])
def test_the_rows_of_every_kind_of_symbol(sleeper_share: float) -> None:
    venue = Venue(SandboxOptions(symbols=40, start_ms=START_MS, sleeper_share=sleeper_share))
    for instrument in venue.universe.instruments.values():
        assert csv_rows(instrument.traits, MINUTE - 700, MINUTE) == one_by_one(
            instrument.traits, MINUTE - 700, MINUTE
        ), instrument.symbol


@given(
    seed=st.integers(0, 2**32),
    first=st.integers(26_000_000, 31_000_000),
    count=st.integers(0, 200),
    tick=st.sampled_from(["0.10", "0.001", "1", "0.0000100"]),
    step=st.sampled_from(["0.001", "1"]),
)
def test_any_range_of_any_seed(seed: int, first: int, count: int, tick: str, step: str) -> None:
    symbol = traits(seed, "AUSDT", tick_size=tick, step_size=step, sleeper_share=0.0)
    assert csv_rows(symbol, first, first + count) == one_by_one(symbol, first, first + count)


def test_a_month_is_the_sum_of_its_parts() -> None:
    symbol = traits(1, "AUSDT", tick_size="0.10", step_size="0.001", sleeper_share=0.0)
    parts = [csv_rows(symbol, MINUTE + start, MINUTE + start + 10_000) for start in range(0, 40_000, 10_000)]
    assert csv_rows(symbol, MINUTE, MINUTE + 40_000) == b"".join(parts)


@given(
    st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 10**15)), min_size=1, max_size=20),
    st.integers(0, 15),
)
def test_numbers_are_written_as_the_venue_writes_them(rows: list[tuple[int, int]], places: int) -> None:
    left, right = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    expected = "".join(f"{decimal(one, places)},{two}\n" for one, two in rows)
    assert lines((left, places), (right, 0)).decode() == expected
