"""What was decided about bars (docs/adr/0040), case by case."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf, nan
from re import escape

import numpy as np
import pytest

from src.analysis.bars.advance import advance
from src.analysis.bars.dtypes import BAR, CANDLE, TRADE, Recipe, Records, new_state, state_bytes
from src.errors import BadData
from tests.naive import Bar, Candle, Trade

MINUTE_MS = 60_000
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS


def _records(dtype: np.dtype[np.void], rows: Sequence[tuple[float, ...]]) -> Records:
    return np.array(rows, dtype)


def _tuples(bars: Records) -> list[Bar]:
    assert bars.dtype == BAR
    return [bar.item() for bar in bars]


def _candle(minute: int, price: float, volume: float) -> Candle:
    return (minute * MINUTE_MS, price, price, price, price, volume, price * volume, int(volume > 0), 0.0)


def _trade(ts: int, trade_id: int, price: float = 1.0, quantity: float = 1.0) -> Trade:
    return (ts, trade_id, price, quantity, False)


def test_a_trade_that_crosses_the_threshold_belongs_whole_to_the_closing_bar() -> None:
    rows = _records(TRADE, [_trade(1, 5, 10.0, 3.0), _trade(2, 6, 12.0, 9.0), _trade(3, 7, 11.0, 2.0)])
    bars, state = advance(new_state(Recipe.VOLUME, 4.0), rows)
    assert _tuples(bars) == [(1, 2, 5, 10.0, 12.0, 10.0, 12.0, 12.0, 138.0, 2, 12.0, 11.5)]
    assert (state["is_open"][0], state["volume"][0]) == (1, 2.0)


@pytest.mark.parametrize(
    ("recipe", "size"),
    [(Recipe.TICK, 2), (Recipe.VOLUME, 3.0), (Recipe.DOLLAR, 3.5)],
    ids=["tick", "volume", "dollar"],
)
def test_a_bar_is_full_when_the_threshold_is_just_reached(recipe: Recipe, size: float) -> None:
    rows = _records(TRADE, [_trade(1, 1, 1.5, 1.0), _trade(2, 2, 1.0, 2.0), _trade(3, 3)])
    bars, state = advance(new_state(recipe, size), rows)
    assert bars["trade_count"].tolist() == [2]
    assert state["trade_count"][0] == 1


def test_a_row_at_the_boundary_begins_the_next_bar() -> None:
    trades = _records(TRADE, [_trade(59_999, 1), _trade(60_000, 2), _trade(119_999, 3), _trade(120_000, 4)])
    bars, _ = advance(new_state(Recipe.TIME_OF_TRADES, 60_000), trades)
    assert [bar[:2] + bar[9:10] for bar in _tuples(bars)] == [(0, 60_000, 1), (60_000, 120_000, 2)]


def test_minutes_without_trades_make_no_bar_of_trades_and_a_flat_bar_of_candles() -> None:
    trades = _records(TRADE, [_trade(1, 1), _trade(300_001, 2)])
    bars, _ = advance(new_state(Recipe.TIME_OF_TRADES, 60_000), trades, until_ms=360_000)
    assert bars["open_ts"].tolist() == [0, 300_000]
    candles = _records(CANDLE, [_candle(minute, 7.0, 0.0) for minute in range(5)])
    flat, _ = advance(new_state(Recipe.TIME_OF_CANDLES, 300_000), candles)
    assert _tuples(flat) == [(0, 300_000, 0, 7.0, 7.0, 7.0, 7.0, 0.0, 0.0, 0, 0.0, 7.0)]


def test_a_relisted_symbol_begins_with_a_bar_of_its_own() -> None:
    candles = _records(CANDLE, [_candle(minute, 1.0 + minute, 2.0) for minute in (0, 1, 3, 4)])
    bars, _ = advance(new_state(Recipe.TIME_OF_CANDLES, 300_000), candles, cuts=[180_000])
    assert [bar[:4] for bar in _tuples(bars)] == [(0, 180_000, 0, 1.0), (180_000, 300_000, 0, 4.0)]
    trades = _records(
        TRADE, [_trade(1, 100), _trade(2, 101), _trade(180_000, 1), _trade(180_001, 2), _trade(180_002, 3)]
    )
    bars, state = advance(new_state(Recipe.TICK, 3), trades, cuts=[180_000])
    assert bars["first_trade_id"].tolist() == [1]
    assert state["discarded_trades"][0] == 2


@pytest.mark.parametrize("recipe", [Recipe.TIME_OF_TRADES, Recipe.TIME_OF_CANDLES])
def test_a_listing_may_become_known_while_a_bar_is_in_progress(recipe: Recipe) -> None:
    rows = (
        _records(CANDLE, [_candle(minute, 1.0 + minute, 2.0) for minute in (0, 1, 3, 4)])
        if recipe is Recipe.TIME_OF_CANDLES
        else _records(TRADE, [_trade(minute * MINUTE_MS, minute) for minute in (0, 1, 3, 4)])
    )
    bars, state = advance(new_state(recipe, 300_000), rows[:2])
    assert len(bars) == 0
    for until in (None, 180_000):
        closed, later = advance(state, rows[:0], cuts=[180_000], until_ms=until)
        bars, _ = advance(later, rows[2:], cuts=[180_000], until_ms=300_000)
        found = [*_tuples(closed), *_tuples(bars)]
        assert [bar[:2] for bar in found] == [(0, 180_000), (180_000, 300_000)]


def test_what_was_met_on_the_way_is_counted() -> None:
    rows = _records(TRADE, [_trade(1_000, 4), _trade(999, 5), _trade(1_001, 9)])
    bars, state = advance(new_state(Recipe.TICK, 2), rows)
    assert _tuples(bars)[0][:3] == (1_000, 1_000, 4)
    assert (state["backward_trades"][0], state["skipped_ids"][0]) == (1, 3)


def test_weeks_begin_on_monday_and_days_at_midnight() -> None:
    monday = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000)
    rows = _records(TRADE, [_trade(monday + 3 * DAY_MS + 5, 1)])
    for size, days in ((DAY_MS, 3), (WEEK_MS, 0)):
        bars, _ = advance(new_state(Recipe.TIME_OF_TRADES, size), rows, until_ms=monday + WEEK_MS)
        assert bars["open_ts"].tolist() == [monday + days * DAY_MS]


def test_a_last_bar_waits_in_the_state_until_it_is_over() -> None:
    rows = _records(CANDLE, [_candle(minute, 1.0, 1.0) for minute in (0, 1, 2)])
    made = (Recipe.TIME_OF_CANDLES, 300_000)
    for until, count in ((None, 0), (299_999, 0), (300_000, 1)):
        bars, state = advance(new_state(*made), rows, until_ms=until)
        assert (len(bars), state["is_open"][0]) == (count, 1 - count)


@pytest.mark.parametrize(
    ("bad", "reason", "text"),
    [
        (_trade(3, 2), "bars_order", "trade 2 at 3 repeats id 2 or comes after a later one"),
        (_trade(3, 1), "bars_order", "trade 1 at 3 repeats id 2"),
        (_trade(30_000, 3), "bars_backward", "more than 60000 ms earlier"),
        (_trade(100_000, 3, nan), "bars_value", "'price': nan"),
        (_trade(100_000, 3, 0.0), "bars_value", "'price': 0.0"),
        (_trade(100_000, 3, inf), "bars_value", "'price': inf"),
        (_trade(100_000, 3, 1.0, -1.0), "bars_value", "'quantity': -1.0"),
        (_trade(100_000, 3, 1.0, nan), "bars_value", "'quantity': nan"),
    ],
)
@pytest.mark.parametrize("recipe", [Recipe.TIME_OF_TRADES, Recipe.TICK])
def test_a_trade_that_can_be_in_no_bar_is_named(recipe: Recipe, bad: Trade, reason: str, text: str) -> None:
    _, state = advance(new_state(recipe, 1_000), _records(TRADE, [_trade(1, 1), _trade(100_000, 2)]))
    saved = state_bytes(state)
    with pytest.raises(BadData, match=escape(text)) as raised:
        advance(state, _records(TRADE, [bad]))
    assert raised.value.reason == reason
    assert state_bytes(state) == saved


def test_a_trade_after_the_time_that_was_said_to_be_over_is_named() -> None:
    rows = _records(TRADE, [_trade(100_000, 1), _trade(100_400, 2), _trade(100_500, 3), _trade(101_000, 4)])
    for until, bars_closed in ((100_450, 0), (101_000, 1)):
        made, state = advance(new_state(Recipe.TIME_OF_TRADES, 1_000), rows[:2], until_ms=until)
        assert len(made) == bars_closed
        late = rows[2:3].copy()
        late["ts"] = until - 1
        with pytest.raises(
            BadData, match="lies before the time up to which all was said to be there"
        ) as raised:
            advance(state, late)
        assert raised.value.reason == "bars_late"
        advance(state, rows[3:])


def test_what_was_said_to_be_over_stays_over() -> None:
    made = (Recipe.TIME_OF_CANDLES, 60_000)
    none = _records(CANDLE, [])
    _, state = advance(new_state(*made), none, until_ms=120_000)
    _, state = advance(state, none, until_ms=60_000)
    with pytest.raises(BadData, match="candle at 60000 lies before"):
        advance(state, _records(CANDLE, [_candle(1, 1.0, 1.0)]))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (_candle(9, 1.0, 1.0), "bars_order"),
        (_candle(10, 1.0, 1.0), "bars_order"),
        (_candle(11, 1.0, 1.0), "bars_late"),
        ((720_001, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1, 1.0), "bars_start"),
        (_candle(12, nan, 1.0), "bars_value"),
        (_candle(12, 0.0, 1.0), "bars_value"),
        (_candle(12, inf, 1.0), "bars_value"),
        (_candle(12, 1.0, nan), "bars_value"),
        (_candle(12, 1.0, -1.0), "bars_value"),
        ((720_000, 2.0, 1.9, 1.0, 1.0, 1.0, 1.0, 1, 1.0), "bars_value"),
        ((720_000, 1.0, 1.9, 1.0, 0.5, 1.0, 1.0, 1, 1.0), "bars_value"),
    ],
)
def test_a_candle_that_can_be_in_no_bar_is_named(bad: Candle, reason: str) -> None:
    rows = _records(CANDLE, [_candle(10, 1.0, 1.0)])
    _, state = advance(new_state(Recipe.TIME_OF_CANDLES, 300_000), rows, until_ms=720_000)
    with pytest.raises(BadData, match=f"^candle at {bad[0]} ") as raised:
        advance(state, _records(CANDLE, [bad]))
    assert raised.value.reason == reason


def test_rows_of_another_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="TIME_OF_CANDLES bars are made of"):
        advance(new_state(Recipe.TIME_OF_CANDLES, 300_000), _records(TRADE, [_trade(1, 1)]))
