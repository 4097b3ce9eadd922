"""Trades and candles as they come: times that go back a little, empty minutes, ids that are missing, listings."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.naive import Candle, Trade

START_MS = 1_760_000_000_000
MINUTE_MS = 60_000

_prices = st.integers(1, 10**7).map(lambda ticks: ticks / 1000)
_quantities = st.integers(0, 10**6).map(lambda steps: steps / 1000)
_steps = st.one_of(
    st.integers(-2_000, 5_000), st.sampled_from([0, 60_000, 61_234, 900_000, 90_000_000, 700_000_000])
)


@dataclass(frozen=True, slots=True)
class Story:
    """Rows of one symbol, and where another listing of it begins."""

    rows: list[Trade]
    cuts: list[int]


@dataclass(frozen=True, slots=True)
class CandleStory:
    """Minutes of one symbol, and where another listing of it begins."""

    rows: list[Candle]
    cuts: list[int]


@st.composite
def trades(draw: st.DrawFn, *, whole: bool = False) -> Story:
    """Ids begin anew with each listing. ``whole``: sums are exact, and listings begin with a minute."""
    prices = st.integers(1, 1000).map(float) if whole else _prices
    quantities = st.integers(0, 1000).map(float) if whole else _quantities
    drawn = draw(
        st.lists(st.tuples(_steps, st.integers(1, 3), prices, quantities, st.booleans()), max_size=60)
    )
    now = START_MS + draw(st.integers(0, 86_400_000))
    times = [now := now + step for step, *_ in drawn]
    cuts = draw(_cuts(times, MINUTE_MS if whole else 1))
    rows: list[Trade] = []
    clock, trade_id, listing = 0, -1, -1
    for at, (_, ahead, price, quantity, sold) in zip(times, drawn, strict=True):
        at = max(at, clock - 60_000)
        clock = max(clock, at)
        if listing != (listing := bisect_right(cuts, clock)):
            trade_id = draw(st.integers(0, 5))
        trade_id += ahead
        rows.append((at, trade_id, price, quantity, sold))
    return Story(rows, cuts)


@st.composite
def candles(draw: st.DrawFn) -> CandleStory:
    """Minutes, most of them in a row, some flat, some with values that the source did not say."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from([1, 1, 1, 1, 1, 2, 3, 17, 1500]),
                st.lists(_prices, min_size=4, max_size=4),
                _quantities,
                st.sampled_from([None, 0.25, 1.0]),
                st.integers(0, 100),
            ),
            max_size=60,
        )
    )
    minute = START_MS // MINUTE_MS + draw(st.integers(0, 1440))
    rows: list[Candle] = []
    for ahead, prices, volume, bought, count in drawn:
        minute += ahead
        low, opened, close, high = sorted(prices)
        unknown = float("nan")
        quote = unknown if bought is None else volume * opened
        buy = unknown if bought is None else volume * bought
        count = -1 if bought is None and count % 2 else count
        rows.append((minute * MINUTE_MS, opened, high, low, close, volume, quote, count, buy))
    return CandleStory(rows, draw(_cuts([row[0] for row in rows], MINUTE_MS)))


def _cuts(times: list[int], unit: int) -> st.SearchStrategy[list[int]]:
    """None, one or two, near rows."""
    places = st.sampled_from(times) if times else st.just(START_MS)
    near = st.tuples(places, st.integers(-3, 3)).map(lambda drawn: (drawn[0] // unit + drawn[1]) * unit)
    return st.lists(near, max_size=2, unique=True).map(sorted)


def pieces(count: int) -> st.SearchStrategy[list[int]]:
    """Where ``count`` rows are cut into pieces, some of them empty."""
    return st.lists(st.integers(0, count), max_size=8).map(sorted)
