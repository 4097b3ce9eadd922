"""``expire`` against a naive twin on the real database, under a writer, and for the roles that may and may not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.adapters.timescale.history.expiry import Expiry
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.errors import BadData
from src.model import DAY_MS, MINUTE_MS, Dataset, Expired
from tests.support.cluster import Cluster

from .helpers import CANDLE, fetch, opened
from .test_roles import role_url

CHUNK = timedelta(days=7)
BASE = datetime(2025, 1, 2, tzinfo=UTC)
"""The first instant of a chunk."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Line:
    """What matters of a ledger line."""

    symbol: str
    day: date
    expected: int
    have: int
    absent: int
    expired: int
    dirty: bool


@st.composite
def histories(draw: st.DrawFn) -> tuple[set[tuple[str, datetime]], list[Line], datetime]:
    """Rows of three chunks, ledger lines that count them, and an instant to expire at."""
    minutes = st.integers(0, 3 * 7 * 1440 - 1).map(lambda n: BASE + timedelta(minutes=n))
    rows = draw(st.sets(st.tuples(st.sampled_from(["A", "币USDT"]), minutes), max_size=12))
    days = draw(st.sets(st.tuples(st.sampled_from(["A", "币USDT"]), st.integers(-3, 22)), max_size=12))
    lines = []
    for symbol, offset in sorted(days | {(symbol, (ts - BASE).days) for symbol, ts in rows}):
        day = (BASE + timedelta(days=offset)).date()
        have = sum(name == symbol and ts.date() == day for name, ts in rows)
        absent = draw(st.integers(0, 3))
        expected = draw(st.sampled_from([0, have, have + absent, 1440]))
        lines.append(Line(symbol, day, expected, have, absent, draw(st.integers(0, 5)), draw(st.booleans())))
    return rows, lines, BASE + timedelta(minutes=draw(st.integers(-1440, 22 * 1440)))


def naive(
    rows: set[tuple[str, datetime]], lines: list[Line], t: datetime
) -> tuple[set[tuple[str, datetime]], list[Line]]:
    """The slow twin: drop whole chunks that are older, then count again what the ledger says of the days before."""

    def chunk_end(ts: datetime) -> datetime:
        return ts - (ts - _EPOCH) % CHUNK + CHUNK

    stay = {row for row in rows if chunk_end(row[1]) > t}
    oldest_kept = min((chunk_end(ts) - CHUNK for _, ts in stay), default=None)
    after = []
    for line in lines:
        if line.day < t.date():
            have = sum(symbol == line.symbol and ts.date() == line.day for symbol, ts in stay)
            still_held = oldest_kept is not None and line.day >= oldest_kept.date()
            gone = max(line.expected - line.absent - have, 0)
            line = replace(line, have=have, expired=gone, dirty=line.dirty and still_held)
        after.append(line)
    return stay, after


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    options = "-c search_path=market_data,public -c TimeZone=UTC"
    with psycopg.connect(database, options=options) as session:
        yield session


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories())
def test_equals_its_naive_twin(
    connection: psycopg.Connection, history: tuple[set[tuple[str, datetime]], list[Line], datetime]
) -> None:
    rows, lines, t = history
    for symbol, ts in rows:
        connection.execute(
            "INSERT INTO candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume, authority, source)"
            " VALUES ('x', %s, %s, 1, 1, 1, 1, 1, 1, 's')",
            [symbol, ts],
        )
    for line in lines:
        connection.execute(
            "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, have, absent, expired, dirty)"
            " VALUES ('x', 'candles_1m', %s, %s, %s, %s, %s, %s, %s)",
            [line.symbol, line.day, line.expected, line.have, line.absent, line.expired, line.dirty],
        )
    stay, after = naive(rows, lines, t)
    connection.execute("SELECT * FROM expire(%s)", [t])
    # A chunk may be kept for rows of a symbol that has no line; only the rows themselves are compared.
    assert _rows(connection) == stay
    assert _lines(connection) == after
    again = connection.execute("SELECT chunks, lines, rows_expired FROM expire(%s)", [t]).fetchone()
    assert again == (0, 0, 0)
    connection.rollback()


def _rows(connection: psycopg.Connection) -> set[tuple[str, datetime]]:
    return set(connection.execute("SELECT symbol, bucket_ts FROM candles_1m").fetchall())


def _lines(connection: psycopg.Connection) -> list[Line]:
    found = connection.execute(
        "SELECT symbol, day, expected, have, absent, expired, dirty FROM coverage_days"
        ' ORDER BY symbol COLLATE "C", day'
    )
    return [Line(*row) for row in found]


async def test_the_writer_goes_on_while_chunks_are_dropped(database: str) -> None:
    now_ms = int(datetime.now(UTC).timestamp()) * 1000 // MINUTE_MS * MINUTE_MS
    old_ms = now_ms - 60 * DAY_MS
    expiry = Expiry(DatabaseOptions(database))
    async with opened(database) as store:
        for week in range(5):
            await store.write([replace(CANDLE, open_ms=old_ms + week * 7 * DAY_MS)], [])
        await fetch(
            database,
            "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, have)"
            " SELECT 'binance_futures_um', 'candles_1m', 'BTCUSDT', bucket_ts::date, 1440, 1 FROM candles_1m"
            " ON CONFLICT (exchange, dataset, symbol, day) DO UPDATE SET expected = 1440",
        )
        written, dropped = 0, asyncio.Event()

        async def write() -> None:
            nonlocal written
            while not dropped.is_set() or written < 20:
                await store.write([replace(CANDLE, open_ms=now_ms + written * MINUTE_MS)], [])
                written += 1

        async with asyncio.TaskGroup() as group:
            group.create_task(write(), name="writer")
            done = await expiry.expire(now_ms - 20 * DAY_MS)
            dropped.set()
    assert [item.dataset for item in done] == [Dataset.CANDLES, Dataset.METRICS, Dataset.TRADES]
    assert done[0].chunks == 5
    assert (done[0].lines, done[0].rows) == (5, 5 * 1440)
    kept = "SELECT count(*) FROM candles_1m"
    assert await fetch(database, kept) == [(written,)]
    states = await fetch(database, "SELECT state, have, expired FROM coverage_days WHERE expected = 1440")
    assert states == [("expired", 0, 1440)] * 5


def test_the_last_metric_of_a_day_lies_in_the_next_chunk(connection: psycopg.Connection) -> None:
    """The row of midnight ends the day before, and stays while the chunk that begins then does."""
    for minutes in (5, 10, 1440, 1445):
        connection.execute(
            "INSERT INTO binance_futures_metrics_5m (exchange, symbol, create_time, sum_open_interest,"
            " sum_open_interest_rank, authority, source) VALUES ('x', 'A', %s, 1, 0, 0, 's')",
            [BASE + timedelta(days=6, minutes=minutes)],
        )
    for offset, have in ((6, 3), (7, 1)):
        connection.execute(
            "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, have)"
            " VALUES ('x', 'metrics_5m', 'A', %s, 288, %s)",
            [(BASE + timedelta(days=offset)).date(), have],
        )
    read = "SELECT have, expired, state FROM coverage_days ORDER BY day"
    for t, kept in (
        (BASE + CHUNK, [(1, 287, "expired"), (1, 0, "open")]),
        (BASE + CHUNK + timedelta(days=1), [(1, 287, "expired"), (1, 287, "expired")]),
        (BASE + 2 * CHUNK, [(0, 288, "expired"), (0, 288, "expired")]),
    ):
        connection.execute("SELECT * FROM expire(%s)", [t])
        assert connection.execute(read).fetchall() == kept


async def test_the_newest_week_is_refused(database: str) -> None:
    week = datetime.now(UTC) - timedelta(days=6)
    with pytest.raises(BadData, match="the last seven days are never dropped"):
        await Expiry(DatabaseOptions(database)).expire(int(week.timestamp() * 1000))


async def test_the_writer_may_expire_and_the_reader_may_not(cluster: Cluster) -> None:
    owner, writer = await role_url(cluster, "writer")
    _, reader = await role_url(cluster, "looker")
    await migrate(MigrationOptions(owner, writer_role="writer", reader_role="looker"))
    async with opened(writer) as store:
        await store.write([CANDLE], [])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await fetch(reader, "SELECT expire(now() - interval '30 days')")
    for statement in (
        "SELECT drop_chunks('candles_1m', older_than => now())",
        "UPDATE coverage_days SET expired = 1",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await fetch(reader, statement)
    later_ms = CANDLE.open_ms + 14 * DAY_MS
    assert later_ms < (datetime.now(UTC) - timedelta(days=8)).timestamp() * 1000
    assert (await Expiry(DatabaseOptions(writer)).expire(later_ms))[0] == Expired(
        Dataset.CANDLES, chunks=1, lines=1, rows=0
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await fetch(writer, "SELECT drop_chunks('candles_1m', older_than => now())")
