"""The generated market is a pure function, stays in its ranges, and is late as often as it says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from src.sandbox.market.candles import MINUTE_MS, Kline, Traits, asleep, candle, decimal, delay, price, traits

MINUTES = st.integers(min_value=20_000_000, max_value=40_000_000)
SEEDS = st.integers(min_value=0, max_value=2**40)
NAMES = st.sampled_from(["BTCUSDT", "币安人生USDT", "1000PEPEUSDT", "4USDT", "ZUSDT"])
TICKS = st.sampled_from(["0.10", "0.01", "0.0000100", "0.0000001", "0.010", "1"])
STEPS = st.sampled_from(["0.001", "1", "0.0001"])
HOUR = 60


def make(
    seed: int = 1, name: str = "BTCUSDT", *, tick: str = "0.10", step: str = "0.001", share: float = 0.0
) -> Traits:
    return traits(seed, name, tick_size=tick, step_size=step, sleeper_share=share)


def numbers(row: Kline) -> dict[str, Decimal]:
    return {
        name: Decimal(getattr(row, name))
        for name in (
            "open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume",
            "taker_buy_quote_volume",
        )
    }  # fmt: skip


@given(SEEDS, NAMES, MINUTES, TICKS, STEPS)
def test_a_candle_is_possible_and_exact(seed: int, name: str, minute: int, tick: str, step: str) -> None:
    row = candle(make(seed, name, tick=tick, step=step), minute)
    value = numbers(row)
    assert row.open_time == minute * MINUTE_MS
    assert row.close_time == row.open_time + MINUTE_MS - 1
    assert 0 < value["low"] <= min(value["open"], value["close"])
    assert value["high"] >= max(value["open"], value["close"])
    assert row.trade_count > 0
    assert 0 <= value["taker_buy_volume"] <= value["volume"]
    assert value["low"] * value["volume"] <= value["quote_volume"] <= value["high"] * value["volume"]
    assert value["taker_buy_quote_volume"] <= value["quote_volume"]
    for number in value.values():
        assert len(number.normalize().as_tuple().digits) <= 15
        assert Decimal(repr(float(number))) == number, "not exact as float8"
    assert (value["close"] / Decimal(tick)) % 1 == 0, "not a multiple of the tick"


@given(SEEDS, NAMES, MINUTES, st.sampled_from([0.0, 1.0]))
def test_a_minute_opens_where_the_one_before_closed(seed: int, name: str, minute: int, share: float) -> None:
    symbol = make(seed, name, share=share)
    assert candle(symbol, minute).close == candle(symbol, minute + 1).open


def test_neither_the_order_of_questions_nor_the_process_changes_a_candle() -> None:
    minutes = list(range(29_000_000, 29_000_300))
    forwards = [candle(make(7), minute) for minute in minutes]
    backwards = [candle(make(7), minute) for minute in reversed(minutes)]
    assert forwards == backwards[::-1]
    code = (
        "from src.sandbox.market.candles import *;"
        "s = traits(7, 'BTCUSDT', tick_size='0.10', step_size='0.001', sleeper_share=0.0);"
        "print(candle(s, 29_000_123), delay(s, 29_000_123))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "4711")
    }
    assert said == {f"{forwards[123]} {delay(make(7), minutes[123])}"}


def test_seeds_and_symbols_make_different_markets() -> None:
    rows = {candle(make(seed, name), 29_000_000)[1:6] for seed in range(10) for name in ("AUSDT", "BUSDT")}
    assert len(rows) == 20


def test_delays_have_the_stated_distribution() -> None:
    drawn = [
        delay(make(1, f"S{number}USDT"), minute)
        for number in range(50)
        for minute in range(29_000_000, 29_002_000)
    ]
    share = len(drawn)
    quick = [one for one in drawn if one < 1.0]
    middling = [one for one in drawn if 1.0 <= one < 2.5]
    slow = [one for one in drawn if one >= 2.5]
    assert min(drawn) >= 0.05
    assert max(drawn) < 24.0
    # 100,000 draws: five standard deviations are 0.005, 0.005 and 0.0011
    assert abs(len(quick) / share - 0.90) < 0.005
    assert abs(len(middling) / share - 0.095) < 0.005
    assert abs(len(slow) / share - 0.005) < 0.0012
    assert abs(sum(quick) / len(quick) - 0.525) < 0.005
    assert abs(sum(slow) / len(slow) - 13.25) < 1.5


def test_a_sleeper_sleeps_for_hours_and_two_fifths_of_the_time() -> None:
    sleepers = [make(1, f"S{number}USDT", share=1.0) for number in range(20)]
    minutes = range(29_000_000, 29_000_000 + 30 * 24 * HOUR)
    share = sum(asleep(symbol, minute) for symbol in sleepers for minute in minutes[::30]) / (
        len(sleepers) * len(minutes[::30])
    )
    assert 0.33 < share < 0.47
    symbol = sleepers[0]
    turns = [minute for minute in minutes if asleep(symbol, minute) != asleep(symbol, minute - 1)]
    assert len(turns) > 10
    assert min(later - earlier for earlier, later in pairwise(turns)) >= 2 * HOUR


def test_a_sleeping_minute_is_flat_and_empty() -> None:
    symbol = make(share=1.0)
    rows = [candle(symbol, minute) for minute in range(29_000_000, 29_003_000)]
    quiet = [row for row in rows if asleep(symbol, row.open_time // MINUTE_MS)]
    assert quiet
    for row in quiet:
        assert row.open == row.high == row.low == row.close
        assert row.trade_count == 0
        assert Decimal(row.volume) == Decimal(row.quote_volume) == Decimal(row.taker_buy_volume) == 0
    assert all(row.trade_count for row in rows if row not in quiet)


@given(st.integers(min_value=0, max_value=10**20), st.integers(min_value=0, max_value=12))
def test_decimal_writes_every_place(value: int, places: int) -> None:
    text = decimal(value, places)
    assert Decimal(text) == Decimal(value).scaleb(-places)
    assert len(text.partition(".")[2]) == places


def test_two_hundred_symbols_of_a_day_take_seconds_not_minutes() -> None:
    symbols = [make(1, f"S{number}USDT") for number in range(200)]
    begun = time.process_time()
    for symbol in symbols:
        for minute in range(29_000_000, 29_000_000 + 24 * HOUR):
            candle(symbol, minute)
    assert time.process_time() - begun < 10, (
        "measured 1.1 s; ten is a slow machine, more is a walk from genesis"
    )


@given(SEEDS, NAMES, MINUTES, TICKS, STEPS, st.sampled_from([0.0, 1.0]))
def test_the_price_at_a_minutes_start_is_its_open(
    seed: int, name: str, minute: int, tick: str, step: str, share: float
) -> None:
    symbol = make(seed, name, tick=tick, step=step, share=share)
    assert decimal(price(symbol, minute), symbol.price_decimals) == candle(symbol, minute).open
