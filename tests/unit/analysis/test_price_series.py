"""Price series against buckets filled by hand, in any pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.analysis.arbitrage.dtypes import PRICED
from src.analysis.arbitrage.sources import first_prices
from src.analysis.prices.kernels import DEAL, SERIES, price_series
from src.errors import BadData

START_MS = 1_760_000_000_000
Deal = tuple[int, float, float, float]
# The first call compiles.
patient = settings(deadline=None)

_amounts = st.integers(0, 10**6).map(lambda steps: steps / 1000)
_prices = st.integers(1, 10**7).map(lambda ticks: ticks / 1000)
_steps = st.sampled_from([0, 1, 400, 999, 1_000, 61_000, 3_700_000])


@st.composite
def _deals(draw: st.DrawFn) -> list[Deal]:
    now = START_MS + draw(st.integers(0, 5_000))
    rows = draw(st.lists(st.tuples(_steps, _prices, _amounts, _amounts), max_size=50))
    return [(now := now + step, price, base, quote) for step, price, base, quote in rows]


def _bucket(opened: int, deals: list[Deal]) -> tuple[float, ...]:
    prices = [price for _, price, _, _ in deals]
    volume = quote = 0.0
    for _, _, base, paid in deals:
        volume, quote = volume + base, quote + paid
    vwap = quote / volume if volume and quote else prices[-1]
    return (opened, prices[0], max(prices), min(prices), prices[-1], vwap, volume, quote, len(deals))


def _pieces(rows: Sequence[Deal], places: Sequence[int]) -> Iterator[np.ndarray]:
    whole = np.array(rows, DEAL)
    for begin, end in zip([0, *places], [*places, len(whole)], strict=True):
        yield whole[begin:end]


@patient
@given(data=st.data(), deals=_deals(), step=st.sampled_from([1_000, 60_000, 3_600_000]))
def test_each_bucket_is_what_its_rows_say_in_any_pieces(
    data: st.DataObject, deals: list[Deal], step: int
) -> None:
    expected = [
        _bucket(opened, list(rows)) for opened, rows in groupby(deals, lambda deal: deal[0] // step * step)
    ]
    places = data.draw(st.lists(st.integers(0, len(deals)), max_size=6).map(sorted))
    for cuts in ([], places, range(len(deals))):
        found = [row.item() for piece in price_series(_pieces(deals, cuts), step) for row in piece]
        assert found == expected


@pytest.mark.parametrize(
    "wrong", [(1, nan, 1.0, 1.0), (1, 0.0, 1.0, 1.0), (1, 1.0, -1.0, 1.0), (1, 1.0, 1.0, inf)]
)
def test_what_cannot_be_is_named(wrong: Deal) -> None:
    with pytest.raises(BadData, match="traded at 1 cannot be"):
        list(price_series([np.array([wrong], DEAL)], 1_000))


def test_one_bucket_has_the_dtype_of_the_table() -> None:
    (found,) = price_series([np.array([(1_500, 2.0, 3.0, 7.5)], DEAL)], 1_000)
    assert found.dtype == SERIES and found[0].item() == (1_000, 2.0, 2.0, 2.0, 2.0, 2.5, 3.0, 7.5, 1)


@given(
    trades=st.lists(st.integers(0, 60), max_size=20).map(sorted),
    asked=st.lists(st.integers(0, 60), max_size=10),
    within=st.sampled_from([1, 5, 100]),
)
def test_the_first_price_within_the_window(trades: list[int], asked: list[int], within: int) -> None:
    rows = np.array([(ts, 100.0 + place, 1.0) for place, ts in enumerate(trades)], PRICED)
    expected = [
        next((100.0 + place for place, ts in enumerate(trades) if when <= ts < when + within), nan)
        for when in asked
    ]
    assert np.array_equal(first_prices(rows, asked, within), expected, equal_nan=True)
