"""The screen against its naive twin, and that it does not matter into which pieces the streams were cut."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from src.analysis.arbitrage.dtypes import OPPORTUNITY, OUTCOMES, PRICED, SWAP, Records
from src.analysis.arbitrage.kernels import screen
from src.analysis.arbitrage.screen import Tally, screened
from src.analysis.arbitrage.terms import Strategy
from tests import naive_arbitrage as naive
from tests.naive_arbitrage import Opportunity, Priced, Swap

START_MS = 1_760_000_000_000
# The first call compiles.
patient = settings(deadline=None)

_prices = st.integers(1, 10**7).map(lambda ticks: ticks / 1000)
_near = st.integers(-300, 300).map(lambda ticks: (200_000 + ticks) / 100)
_quantities = st.integers(0, 10**6).map(lambda steps: steps / 10_000)
_steps = st.one_of(st.integers(0, 900), st.sampled_from([0, 0, 1_000, 5_000, 8_000, 90_000]))


@dataclass(frozen=True, slots=True)
class Market:
    """Both sides, sorted; times that fall together and on the edges of windows are frequent."""

    trades: list[Priced]
    swaps: list[Swap]
    strategy: Strategy


@st.composite
def _strategies(draw: st.DrawFn) -> Strategy:
    return Strategy(
        time_delay_seconds=draw(st.sampled_from([0, 0.001, 3, 60])),
        window_seconds=draw(st.sampled_from([0.001, 1, 5, 60])),
        profit_threshold=draw(st.sampled_from([-1e12, -20.0, 0.0, 5.0])),
        initial_investment=draw(st.sampled_from([1.0, 10_000.0])),
        estimated_gas_used=draw(st.sampled_from([0, 20_999, 21_000, 180_000])),
    )


@st.composite
def markets(draw: st.DrawFn) -> Market:
    prices = draw(st.sampled_from([_prices, _near]))
    rows = draw(
        st.lists(st.tuples(st.one_of(_steps, st.integers(-900, -1)), prices, _quantities), max_size=60)
    )
    now = START_MS
    trades = [(now := now + step, price, quantity) for step, price, quantity in rows]
    blocks = draw(
        st.lists(
            st.tuples(
                st.sampled_from([0, 1, 1, 2, 5, 12, 90]),
                st.one_of(prices, st.sampled_from([0.0, math.inf, math.nan])),
                st.sampled_from([0.0, 3e9, 50e9, math.nan]),
                st.sampled_from([math.nan, 0.0, 120_000.0]),
                st.sampled_from([True, True, True, False]),
            ),
            max_size=30,
        )
    )
    second, block, log, swaps = START_MS // 1000 + draw(st.integers(0, 10)), 100, 0, []
    for ahead, price, gas_price, gas_used, liquid in blocks:
        second, block, log = second + ahead, block + (ahead > 0), log + 1
        swaps.append((second * 1000, block, log, price, gas_price, gas_used, liquid))
    return Market(trades, swaps, draw(_strategies()))


def _pieces(
    rows: Sequence[tuple[float, ...]], dtype: np.dtype[np.void], places: Sequence[int]
) -> Iterator[Records]:
    whole = np.array(rows, dtype)
    for begin, end in zip([0, *places], [*places, len(whole)], strict=True):
        yield whole[begin:end]


def _found(
    market: Market, trade_places: Sequence[int] = (), swap_places: Sequence[int] = ()
) -> tuple[list[Opportunity], dict[str, int]]:
    tally = Tally()
    pieces = screened(
        _pieces(market.trades, PRICED, trade_places),
        _pieces(market.swaps, SWAP, swap_places),
        market.strategy,
        tally,
    )
    return [row.item() for piece in pieces for row in piece], tally.outcomes


@patient
@given(market=markets())
def test_the_screen_finds_what_the_twin_finds(market: Market) -> None:
    found, outcomes = _found(market)
    expected, counts = naive.opportunities(market.trades, market.swaps, market.strategy)
    assert naive.same(found, expected)
    assert {name: count for name, count in outcomes.items() if count} == counts
    assert sum(outcomes.values()) == len(market.swaps)


@patient
@given(data=st.data(), market=markets())
def test_pieces_do_not_matter(data: st.DataObject, market: Market) -> None:
    def places(count: int) -> list[int]:
        return data.draw(st.lists(st.integers(0, count), max_size=8).map(sorted))

    whole, outcomes = _found(market)
    trades, swaps = len(market.trades), len(market.swaps)
    for cuts in (
        (places(trades), places(swaps)),
        (range(trades), range(swaps)),
        (range(trades), ()),
        ((), range(swaps)),
    ):
        found, again = _found(market, *cuts)
        assert naive.same(found, whole)
        assert again == outcomes


@patient
@given(market=markets(), later=st.lists(st.tuples(st.integers(0, 10**6), _prices, _quantities), max_size=5))
def test_no_trade_from_the_decision_on_is_used(market: Market, later: list[tuple[int, float, float]]) -> None:
    """What happens at or after (swap - delay) of the last swap changes nothing."""
    if not market.swaps:
        return
    end = market.swaps[-1][0] - market.strategy.delay_ms
    trades = [trade for trade in market.trades if trade[0] < end]
    known = Market(trades, market.swaps, market.strategy)
    rows = sorted((end + step, price, quantity) for step, price, quantity in later)
    assert _found(known) == _found(Market([*trades, *rows], market.swaps, market.strategy))


@patient
@given(
    prices=st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=50),
    before=st.lists(st.floats(1e-4, 1e4), max_size=50),
)
@example(prices=[0.1] * 10, before=[1e4] * 50)
def test_what_left_the_window_leaves_no_trace(prices: list[float], before: list[float]) -> None:
    """Windows that overlap take trades off one by one: the mean is that of exact fractions all the same."""
    times = np.arange(len(before) + len(prices))
    trades = np.array([*zip(times.tolist(), [*before, *prices], [1.0] * len(times), strict=True)], PRICED)
    swaps = np.zeros(len(times), SWAP)
    swaps["ts"], swaps["price"], swaps["liquid"] = times + 1, 1.0, True
    swaps["gas_price"], swaps["gas_used"] = 0.0, 0.0
    found = np.empty(2 * len(swaps), OPPORTUNITY)
    counts = np.zeros(len(OUTCOMES), np.int64)
    written = screen(trades, swaps, 0, len(prices), -1e300, 1.0, 0.0, 0.0, -1, found, counts)
    assert written == 2 * len(swaps)
    assert found[written - 1]["cex_price"] == naive.exact_mean(prices)
    assert found[written - 1]["window_trades"] == len(prices)
