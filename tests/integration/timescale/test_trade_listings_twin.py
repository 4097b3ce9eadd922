"""The ledger of trades against a naive twin: whatever comes in whatever order, it says what the rows say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.trades.store import TradeStore
from src.model import DAY_MS, Trade, listing_of

from .helpers import listed
from .test_trade_listings import CUT_MS, START_MS, delete, gaps, reaches, stored, trade, trades


@pytest.fixture
async def store(database: str) -> AsyncIterator[TradeStore]:
    store = TradeStore(SharedSession(DatabaseOptions(database), purpose="trades"))
    yield store
    await store.close()


@dataclass
class Twin:
    """What the ledger should say of the rows that are there, by sets of ids."""

    cuts: list[int] = field(default_factory=list)
    rows: dict[tuple[int, int], Trade] = field(default_factory=dict)

    def cut(self, at_ms: int) -> None:
        self.cuts = sorted({*self.cuts, at_ms})
        self.rows = {(listing_of(one.ts_ms, self.cuts), one.trade_id): one for one in self.rows.values()}

    def write(self, batch: Sequence[Trade]) -> int:
        before = len(self.rows)
        for one in batch:
            self.rows.setdefault((listing_of(one.ts_ms, self.cuts), one.trade_id), one)
        return len(self.rows) - before

    def delete(self, ids: Sequence[int], from_ms: int, to_ms: int) -> None:
        self.rows = {
            key: one
            for key, one in self.rows.items()
            if not (one.trade_id in ids and from_ms <= one.ts_ms < to_ms)
        }

    def lines(self) -> list[list[Trade]]:
        return [
            [one for key, one in sorted(self.rows.items()) if key[0] == start]
            for start in sorted({start for start, _ in self.rows})
        ]

    def reaches(self) -> list[tuple[Any, ...]]:
        return [
            (self._start(line), line[0].trade_id, line[-1].trade_id, line[0].ts_ms, line[-1].ts_ms)
            for line in self.lines()
        ]

    def gaps(self) -> list[tuple[Any, ...]]:
        return [
            (self._start(line), low.trade_id + 1, high.trade_id - 1, low.ts_ms, high.ts_ms)
            for line in self.lines()
            for low, high in pairwise(line)
            if high.trade_id - low.trade_id > 1
        ]

    def _start(self, line: list[Trade]) -> int:
        return listing_of(line[0].ts_ms, self.cuts)


LISTINGS = [START_MS + number * DAY_MS for number in range(3)]
"""Each has ids of its own, which overlap with those of the others."""
_IDS = st.integers(0, 25)
_STEPS = st.one_of(
    st.tuples(
        st.just("write"), st.lists(st.tuples(_IDS, st.sampled_from(LISTINGS)), min_size=1, max_size=15)
    ),
    st.tuples(st.just("delete"), st.tuples(st.sets(_IDS, max_size=8), st.sampled_from(LISTINGS))),
    st.tuples(st.just("listed"), st.sampled_from(LISTINGS[1:])),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(_STEPS, min_size=1, max_size=10))
async def test_whatever_comes_in_whatever_order_the_ledger_says_what_the_rows_say(
    store: TradeStore, database: str, steps: list[tuple[str, Any]]
) -> None:
    """Pieces of three listings, again and again; deletions; listings that become known before, between or after."""
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute(
            "TRUNCATE market_data.agg_trades, market_data.trade_reach, market_data.trade_gaps, market_data.instruments"
        )
    await listed(database, "X", LISTINGS[0])
    twin = Twin()
    for word, what in steps:
        if word == "write":
            batch = [trade(number, from_ms) for number, from_ms in what]
            result = await store.write(batch)
            assert result.inserted == twin.write(batch)
            assert result.inserted + result.unchanged == len(batch)
        elif word == "delete":
            ids, from_ms = what
            await delete(database, sorted(ids), from_ms, from_ms + DAY_MS)
            twin.delete(sorted(ids), from_ms, from_ms + DAY_MS)
        elif what not in twin.cuts:
            await listed(database, "X", what)
            twin.cut(what)
            await store.settle(["X"], 0)
        assert await reaches(database) == twin.reaches()
        assert await gaps(database) == twin.gaps()
    assert await stored(database) == sorted(twin.rows.values(), key=lambda one: (one.ts_ms, one.trade_id))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_cut_into_pieces_leaves_the_same(
    store: TradeStore, database: str, data: st.DataObject
) -> None:
    rows = [
        *trades(*data.draw(st.lists(_IDS, unique=True, min_size=1))),
        *trades(*data.draw(st.lists(_IDS, unique=True, min_size=1)), from_ms=CUT_MS),
    ]
    found = []
    for _ in range(2):
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
            await connection.execute(
                "TRUNCATE market_data.agg_trades, market_data.trade_reach, market_data.trade_gaps,"
                " market_data.instruments"
            )
        await listed(database, "X", START_MS, CUT_MS)
        order = data.draw(st.permutations(rows))
        edges = sorted(data.draw(st.lists(st.integers(0, len(order)), max_size=4)))
        for start, end in pairwise([0, *edges, len(order)]):
            await store.write([*order[start:end], *order[: data.draw(st.integers(0, start))]])
        found.append((await stored(database), await reaches(database), await gaps(database)))
    assert found[0] == found[1]
