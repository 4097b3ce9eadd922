"""Listings, delistings and relistings inside the history."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from src.sandbox.market.candles import MINUTE_MS
from src.sandbox.market.past import DAY_MS, first_day_ms
from src.sandbox.market.replay import Replay
from src.sandbox.market.universe import Universe
from src.sandbox.options import SandboxOptions

START_MS = 1_780_000_020_000


def universe(**given: Any) -> Universe:
    return Universe(SandboxOptions(**given), START_MS, Replay())


@pytest.mark.parametrize("days", [0, 2, 8, 40, 365])
def test_nobody_was_listed_before_the_first_day(days: int) -> None:
    made = universe(symbols=100, history_days=days)
    first = first_day_ms(START_MS, days)
    onboards = [one.periods[0].onboard_ms for one in made.instruments.values() if one.periods]
    assert min(onboards) == first
    assert max(onboards) <= START_MS
    later = sum(onboard > first for onboard in onboards)
    assert (5 <= later <= 30) if days >= 8 else later == 0


@pytest.mark.parametrize("days", [8, 40, 365])
def test_delisted_contracts_are_known_to_the_archive_only(days: int) -> None:
    made = universe(symbols=20, history_days=days, delisted=5)
    shown = {one["symbol"] for one in orjson.loads(made.body(START_MS))["symbols"]}
    gone = [one for one in made.instruments.values() if one.gone]
    assert len(gone) == 5
    for one in gone:
        assert one.symbol not in shown
        (period,) = one.periods
        assert period.end is not None
        assert first_day_ms(START_MS, days) < period.end * MINUTE_MS < START_MS - 2 * DAY_MS
        assert one.info["deliveryDate"] == period.end * MINUTE_MS
        assert list(one.folders()) == [one.symbol]


@pytest.mark.parametrize("days", [8, 40, 365])
def test_a_relisted_symbol_has_two_contracts(days: int) -> None:
    made = universe(symbols=20, history_days=days, relisted=3)
    again = [one for one in made.instruments.values() if len(one.periods) == 2]
    assert len(again) == 3
    for one in again:
        earlier, later = one.periods
        assert earlier.end is not None
        assert earlier.end < later.first
        assert later.end is None
        assert later.onboard_ms == one.info["onboardDate"] < START_MS
        assert one.folders() == {one.symbol + "SETTLED": [earlier], one.symbol: [later]}


def test_the_same_options_give_the_same_past() -> None:
    options = {"symbols": 30, "delisted": 3, "relisted": 3}
    one, two = universe(**options), universe(**options)
    assert [(name, it.periods) for name, it in one.instruments.items()] == [
        (name, it.periods) for name, it in two.instruments.items()
    ]


def test_a_short_history_has_no_room_for_delistings() -> None:
    with pytest.raises(ValueError, match="delisted=1"):
        SandboxOptions(history_days=3, delisted=1)
    with pytest.raises(ValueError, match="relisted=2"):
        SandboxOptions(symbols=1, relisted=2)
