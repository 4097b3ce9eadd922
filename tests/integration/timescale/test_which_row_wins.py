"""Design 4.3 as a property: any order, repetition and split of one set of rows leaves the same table."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.adapters.timescale.candles.store import CandleStore
from src.model import MINUTE_MS, Authority, Candle, WriteResult

from .helpers import CANDLE, START_MS, as_tuple, fetch, opened, stored

_SOURCES = {
    Authority.FOREIGN: ["old_table"],
    Authority.STREAM: ["binance_ws", "binance_rest", "Ünicode", "binance_WS"],
    Authority.REST: ["binance_rest"],
    Authority.ARCHIVE: ["binance_archive"],
}


@st.composite
def candles(draw: st.DrawFn) -> Candle:
    """Rows that collide often and differ in everything that decides."""
    authority = draw(st.sampled_from(list(Authority)))
    return replace(
        CANDLE,
        symbol=draw(st.sampled_from(["BTCUSDT", "币安人生USDT", "btcusdt"])),
        open_ms=START_MS + draw(st.integers(0, 1)) * MINUTE_MS,
        close=draw(st.sampled_from([83084.9, 83085.0])),
        volume=draw(st.sampled_from([13.551, 14.0])),
        quote_volume=draw(st.sampled_from([None, 0.0, 1125714.7396])),
        trade_count=draw(st.sampled_from([None, 0, 1, 1027])),
        taker_buy_volume=draw(st.sampled_from([None, 6.426])),
        taker_buy_quote_volume=draw(st.sampled_from([None, 0.0, 7.0])),
        source=draw(st.sampled_from(_SOURCES[authority])),
        authority=authority,
        revision=draw(st.integers(0, 2)) if authority is Authority.ARCHIVE else 0,
    )


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[Candle]]:
    """One set of rows, in any order, some of them twice, cut into batches anywhere."""
    rows = draw(st.lists(candles(), min_size=1, max_size=8))
    again = draw(st.lists(st.sampled_from(rows), max_size=4))
    order = draw(st.permutations([*rows, *again]))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=3)) | {0, len(order)})
    return [list(order[start:end]) for start, end in itertools.pairwise(cuts)]


def naive(batches: Iterable[Iterable[Candle]]) -> list[tuple[object, ...]]:
    """The slow twin: of all rows of one minute, the one of largest rank."""
    by_key: dict[tuple[str, int], list[Candle]] = {}
    for batch in batches:
        for candle in batch:
            by_key.setdefault(candle.key, []).append(candle)
    return [as_tuple(max(by_key[key], key=lambda candle: candle.rank)) for key in sorted(by_key)]


@pytest.fixture
async def store(database: str) -> AsyncIterator[CandleStore]:
    async with opened(database) as store:
        yield store


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=arrivals())
async def test_any_order_repetition_and_split_leaves_the_same_table(
    database: str, store: CandleStore, batches: list[list[Candle]]
) -> None:
    await fetch(database, "DELETE FROM candles_1m")
    await fetch(database, "DELETE FROM candle_revisions")
    results = [await store.write(batch, []) for batch in batches]

    assert await stored(database) == naive(batches)
    assert [result.rows for result in results] == [len(batch) for batch in batches]
    keys = {candle.key for batch in batches for candle in batch}
    assert sum(result.inserted for result in results) == len(keys)
    revisions = (await fetch(database, "SELECT count(*) FROM candle_revisions"))[0][0]
    assert revisions <= sum(result.replaced for result in results)

    for batch in batches:
        assert await store.write(batch, []) == WriteResult(0, 0, len(batch))
