"""Rows that are new for certain go in unguarded (docs/adr/0034-new-rows-need-no-guard.md), and end as all others do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.adapters.timescale.candles.repair import RepairStore
from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.errors import Misconfigured
from src.model import MINUTE_MS, Authority, Candle, Gap, WriteResult
from src.telemetry.metrics import Metrics

from .helpers import CANDLE, START_MS, as_tuple, connect, fetch, stored

_SYMBOLS = ("BTCUSDT", "ETHUSDT", "币安人生USDT")


def _minute(number: int, symbols: Sequence[str] = _SYMBOLS) -> list[Candle]:
    return [replace(CANDLE, symbol=symbol, open_ms=START_MS + number * MINUTE_MS) for symbol in symbols]


def _repaired(row: Candle) -> Candle:
    return replace(row, source="binance_rest", authority=Authority.REST, trade_count=2000)


class _Both:
    """The live writer and a repair of the past, on one database."""

    def __init__(self, live: CandleStore, repair: RepairStore, metrics: Metrics) -> None:
        self.live, self.repair, self._metrics = live, repair, metrics

    @property
    def conflicts(self) -> float:
        """Flushes that met a stored row."""
        value = self._metrics.registry.get_sample_value(
            "marketd_database_errors_total", {"sqlstate_class": "23"}
        )
        return value or 0.0


@asynccontextmanager
async def _opened(database: str) -> AsyncIterator[_Both]:
    metrics = Metrics()
    live = CandleStore(DatabaseOptions(database), metrics)
    await live.open()
    session = SharedSession(DatabaseOptions(database, role="backfill"), purpose="history")
    try:
        yield _Both(live, RepairStore(session), metrics)
    finally:
        await session.close()
        await live.close()


@pytest.fixture
async def both(database: str) -> AsyncIterator[_Both]:
    async with _opened(database) as stores:
        yield stores


async def test_minute_after_minute_is_stored_and_counted(database: str, both: _Both) -> None:
    rows = [row for number in range(8) for row in _minute(number)]
    for number in range(8):
        assert await both.live.write(_minute(number), []) == WriteResult(3, 0, 0)
    assert both.conflicts == 0
    assert await stored(database) == [as_tuple(row) for row in sorted(rows, key=lambda row: row.key)]
    assert await fetch(
        database, "SELECT symbol, sum(have)::int FROM coverage_days GROUP BY 1 ORDER BY 1"
    ) == [(symbol, 8) for symbol in _SYMBOLS]


async def test_a_row_that_somebody_stored_meanwhile_is_met_with_the_guard(database: str, both: _Both) -> None:
    repaired = _repaired(_minute(1)[0])
    gap = Gap("ETHUSDT", START_MS, START_MS + MINUTE_MS, "buffer_full")
    await both.live.write(_minute(0), [])
    await both.repair.write([repaired])
    assert await both.live.write(_minute(1), [gap]) == WriteResult(2, 0, 1)
    assert both.conflicts == 1
    rows = [*_minute(0), repaired, *_minute(1)[1:]]
    assert await stored(database) == [as_tuple(row) for row in sorted(rows, key=lambda row: row.key)]
    assert await fetch(database, "SELECT sum(have) FROM coverage_days") == [(6,)]
    assert await fetch(database, "SELECT symbol, reason FROM gap_events") == [("ETHUSDT", "buffer_full")]


async def test_the_next_session_guards_what_the_last_one_may_have_stored(both: _Both) -> None:
    await both.live.write(_minute(0), [])
    # As a COMMIT whose answer was lost: stored, and the session that did it never knew.
    await both.repair.write(_minute(1))
    await both.live.close()
    await both.live.open()
    assert await both.live.write(_minute(1), []) == WriteResult(0, 0, 3)
    assert both.conflicts == 0


async def test_a_new_row_takes_its_proof_of_absence_back(database: str, both: _Both) -> None:
    await both.live.write(_minute(0), [])
    await fetch(
        database,
        "INSERT INTO absent_minutes (exchange, dataset, symbol, ts, archive_path, archive_sha256, rest_asked_at,"
        " next_ask_at) VALUES ('binance_futures_um', 'candles_1m', 'ETHUSDT',"
        " to_timestamp(%s / 1000.0), 'file', 'sum', now(), now())",
        (START_MS + MINUTE_MS,),
    )
    await fetch(database, "UPDATE coverage_days SET absent = 1 WHERE symbol = 'ETHUSDT'")
    assert await both.live.write(_minute(1), []) == WriteResult(3, 0, 0)
    assert both.conflicts == 0
    assert await fetch(database, "SELECT found_at IS NOT NULL FROM absent_minutes") == [(True,)]
    assert await fetch(database, "SELECT have, absent FROM coverage_days WHERE symbol = 'ETHUSDT'") == [
        (2, 0)
    ]


async def test_without_the_key_nothing_is_stored(database: str, both: _Both) -> None:
    for number in range(8):  # often enough for the statement to be a prepared one
        await both.live.write(_minute(number), [])
    await fetch(database, "ALTER TABLE candles_1m DROP CONSTRAINT candles_1m_pkey")
    with pytest.raises(Misconfigured):
        await both.live.write(_minute(8), [])
    assert await fetch(database, "SELECT count(*) FROM candles_1m") == [(24,)]


_WRITES = st.lists(
    st.tuples(
        st.sampled_from(["live", "live", "live", "repair", "new session"]),
        st.integers(0, 5),
        st.sets(st.sampled_from(_SYMBOLS), min_size=1),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=_WRITES)
async def test_whoever_writes_when_the_best_row_of_each_minute_stays(
    database: str, writes: list[tuple[str, int, set[str]]]
) -> None:
    async with await connect(database) as connection:
        await connection.execute("DELETE FROM candles_1m")
        await connection.execute("DELETE FROM coverage_days")
    best: dict[tuple[str, int], Candle] = {}
    async with _opened(database) as both:
        for who, number, symbols in writes:
            if who == "new session":
                await both.live.close()
                await both.live.open()
                continue
            rows = _minute(number, sorted(symbols))
            if who == "repair":
                rows = [_repaired(row) for row in rows]
                await both.repair.write(rows)
            else:
                await both.live.write(rows, [])
            for row in rows:
                best[row.key] = max(row, best.get(row.key, row), key=lambda row: row.rank)
    assert await stored(database) == [as_tuple(best[key]) for key in sorted(best)]
    counted = await fetch(database, "SELECT coalesce(sum(have), 0)::int FROM coverage_days")
    assert counted == [(len(best),)]
