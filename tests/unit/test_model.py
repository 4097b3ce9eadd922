"""Candle.rank is a total order: the twin of the guarded upsert."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.model import DAY_MS, MINUTE_MS, Authority, Candle, Gap, WriteResult, floor_minute

BASE = Candle(
    symbol="BTCUSDT",
    open_ms=29_856_383 * MINUTE_MS,
    open=83084.9,
    high=83091.7,
    low=83051.2,
    close=83091.6,
    volume=13.551,
    quote_volume=1125714.7396,
    trade_count=1027,
    taker_buy_volume=6.426,
    taker_buy_quote_volume=533856.6686,
    source="binance_ws",
    authority=Authority.STREAM,
)


def test_candle_closes_one_minute_after_it_opens() -> None:
    assert BASE.close_ms - BASE.open_ms == MINUTE_MS
    assert BASE.key == ("BTCUSDT", BASE.open_ms)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (replace(BASE, authority=Authority.REST), BASE),
        (replace(BASE, authority=Authority.ARCHIVE), replace(BASE, authority=Authority.REST)),
        (replace(BASE, trade_count=1028), BASE),
        (replace(BASE, authority=Authority.ARCHIVE, revision=1), replace(BASE, authority=Authority.ARCHIVE)),
        # a row that knows less never wins, however trusted its source
        (BASE, replace(BASE, authority=Authority.REST, quote_volume=None)),
        # an archive row without trades never beats one with trades
        (BASE, replace(BASE, authority=Authority.ARCHIVE, trade_count=0)),
    ],
)
def test_rank_decides_which_row_wins(better: Candle, worse: Candle) -> None:
    assert better.rank > worse.rank


candles = st.builds(
    lambda authority, revision, trades, close, quote: replace(
        BASE,
        authority=authority,
        revision=revision if authority is Authority.ARCHIVE else 0,
        trade_count=trades,
        close=close,
        quote_volume=quote,
    ),
    st.sampled_from(list(Authority)),
    st.integers(0, 2),
    st.none() | st.integers(0, 2),
    st.sampled_from([1.0, 2.0]),
    st.none() | st.sampled_from([3.0, 4.0]),
)


@given(st.lists(candles, min_size=1, max_size=5))
def test_any_order_of_arrival_leaves_the_same_winner(rows: list[Candle]) -> None:
    winners = set()
    for order in itertools.permutations(rows):
        stored = order[0]
        for row in order[1:]:
            if row.rank > stored.rank:
                stored = row
        winners.add(stored.values)
    assert len(winners) == 1


def test_gap_counts_its_minutes() -> None:
    assert Gap("BTCUSDT", 0, DAY_MS, "buffer_full").minutes == 1440


def test_write_result_adds_up() -> None:
    assert WriteResult(inserted=3, replaced=2, unchanged=1).rows == 6


@given(st.integers(0, 4_102_444_800_000))
def test_floor_minute_is_the_start_of_its_minute(ms: int) -> None:
    start = floor_minute(ms)
    assert start % MINUTE_MS == 0
    assert start <= ms < start + MINUTE_MS
