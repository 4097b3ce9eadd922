"""Metrics and funding are functions of seed, symbol and time, in the venue's shapes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.sandbox.market.candles import MINUTE_MS, Traits, traits
from src.sandbox.market.metrics import (
    HOUR_MS,
    SLOT_MS,
    funding,
    interval_hours,
    metric,
    settlements,
    shares,
    slots,
    trimmed,
)
from src.sandbox.market.universe import Period

START_MS = 1_780_000_020_000


def symbol(seed: int = 1, name: str = "AUSDT", tick: str = "0.10") -> Traits:
    return traits(seed, name, tick_size=tick, step_size="0.001", sleeper_share=0.0)


@given(st.integers(0, 1000), st.integers(5_000_000, 7_000_000), st.sampled_from(["0.10", "1", "0.0000100"]))
def test_values_belong_together(seed: int, slot: int, tick: str) -> None:
    one = metric(symbol(seed, tick=tick), slot)
    assert one == metric(symbol(seed, tick=tick), slot)
    assert one.end_ms == (slot + 1) * SLOT_MS
    assert all(Decimal(value) > 0 for value in one[1:])
    assert all(len(value.partition(".")[2]) == 4 for value in one[3:])
    assert len(one.open_interest.partition(".")[2]) == 8
    assert abs(Decimal(one.buy_volume) / Decimal(one.sell_volume) - Decimal(one.taker)) <= Decimal("0.00005")
    long, short = map(Decimal, shares(one.accounts))
    assert long + short == 1
    assert abs(long / (1 - long) - Decimal(one.accounts)) < Decimal("0.01")


def test_neighbours_differ() -> None:
    found = [metric(symbol(), slot) for slot in range(5_900_000, 5_900_500)]
    for column in range(9):
        assert len({one[column] for one in found}) > 300
    assert metric(symbol(name="BUSDT"), 5_900_000) != found[0]


def test_only_whole_slots_of_trading_count() -> None:
    first = 100 * SLOT_MS + 60_000
    periods = [Period(first, first // MINUTE_MS, 110 * 5 + 4), Period(120 * SLOT_MS, 600)]
    assert list(slots(periods, 0, 125 * SLOT_MS)) == [*range(101, 110), *range(120, 125)]
    assert list(slots(periods, 105 * SLOT_MS + 1, 107 * SLOT_MS)) == [106]


@pytest.mark.parametrize("name", [f"{letter}USDT" for letter in "ABCDEFGHIJKL"])
def test_settlements_come_at_the_symbols_interval(name: str) -> None:
    one = symbol(name=name)
    day = 20_000 * 24 * HOUR_MS
    found = settlements(one, [Period(day, day // MINUTE_MS)], day, day + 48 * HOUR_MS)
    step = interval_hours(one)
    assert [row.time_ms // HOUR_MS - day // HOUR_MS for row in found] == list(range(step, 48, step))
    assert all(row.time_ms % HOUR_MS < 16 and row.interval_hours == step for row in found)
    assert all(len(row.rate.partition(".")[2]) == 8 for row in found)
    assert funding(one, found[0].time_ms // HOUR_MS) == found[0]


def test_every_interval_occurs() -> None:
    assert {interval_hours(symbol(name=f"S{number}USDT")) for number in range(60)} == {1, 4, 8}


@pytest.mark.parametrize(
    ("text", "short"), [("78890.46400000", "78890.464"), ("1.0000", "1"), ("100", "100")]
)
def test_the_archive_leaves_zeros_out(text: str, short: str) -> None:
    assert trimmed(text) == short
