"""A kernel's database: arrays come out of queries and go into tables as they are, whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.timescale import queries
from src.adapters.timescale.copying.arrays import RowFormat
from src.adapters.timescale.copying.tables import DatabaseTables
from src.adapters.timescale.options import DatabaseOptions
from src.errors import BadData, Misconfigured, Unavailable

ROW = np.dtype([("number", "<i8"), ("ts", "<i8"), ("price", "<f8"), ("small", "<i4"), ("flag", "?")])
_QUERIES = {
    "store_incoming": "CREATE TEMP TABLE incoming"
    " (number bigint, ts timestamptz, price float8, small integer, flag boolean) ON COMMIT DROP",
    "store": "INSERT INTO kept SELECT %(word)s, * FROM incoming RETURNING number",
    "all": "COPY (SELECT number, ts, price, small, flag FROM kept WHERE word = %(word)s ORDER BY number)"
    " TO STDOUT (FORMAT BINARY)",
    "blank": "COPY (SELECT 1::bigint, now(), NULL::float8, 1, true) TO STDOUT (FORMAT BINARY)",
    "nobody": "COPY (SELECT * FROM nobody) TO STDOUT (FORMAT BINARY)",
    "halfway": "COPY (SELECT n, now(), 1 / (90000 - n)::float8, 1, true FROM generate_series(1::bigint, 100000) AS n)"
    " TO STDOUT (FORMAT BINARY)",
    "count": "SELECT count(*) FROM kept",
    "make": "CREATE TABLE kept (word text, number bigint, ts timestamptz, price float8, small integer, flag boolean)",
}


@pytest.fixture
def tables(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseTables]:
    """On a table and queries of its own: the mechanism is what is under test."""
    real = queries.query
    monkeypatch.setattr(
        "src.adapters.timescale.copying.tables.query",
        lambda file, name: _QUERIES[name] if file == "kept" else real(file, name),
    )
    tables = DatabaseTables(DatabaseOptions(database))
    tables.rows("kept.make")
    yield tables
    tables.close()


def _some(count: int) -> np.ndarray:
    rows = np.zeros(count, ROW)
    rows["number"] = np.arange(count)
    rows["ts"] = 1_700_000_000_123 + np.arange(count)
    rows["price"] = np.arange(count) * 1.1
    rows["small"] = -np.arange(count)
    rows["flag"] = np.arange(count) % 3 == 0
    return rows


def test_what_was_written_is_read(tables: DatabaseTables) -> None:
    rows = _some(1000)
    rows["price"][7:9] = np.nan, np.inf
    returned = tables.write("kept.store", rows, times=("ts",), word="a%b")
    assert [number for (number,) in returned] == rows["number"].tolist()
    found = tables.read("kept.all", ROW, times=("ts",), word="a%b")
    assert found.tobytes() == rows.tobytes()
    assert tables.read("kept.all", ROW, times=("ts",), word="another").shape == (0,)


@pytest.mark.parametrize("size", [1, 7, 999, 1000, 1001, 5000])
def test_pieces_are_the_whole(tables: DatabaseTables, size: int) -> None:
    rows = _some(1000)
    tables.write("kept.store", rows, times=("ts",), word="w")
    pieces = list(tables.pieces("kept.all", ROW, times=("ts",), size=size, word="w"))
    assert {len(piece) for piece in pieces[:-1]} <= {size}
    assert np.concatenate(pieces).tobytes() == rows.tobytes()


def test_nothing_is_written_of_a_transaction_that_fails(tables: DatabaseTables) -> None:
    with pytest.raises(RuntimeError), tables.transaction():
        tables.write("kept.store", _some(5), times=("ts",), word="w")
        tables.write("kept.store", _some(5), times=("ts",), word="w")
        raise RuntimeError
    assert tables.rows("kept.count") == [(0,)]
    assert tables.write("kept.store", _some(0), times=("ts",), word="w") == []


def test_a_kernel_that_sits_in_a_transaction_is_ended_by_the_server(
    tables: DatabaseTables, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it cannot hold a lock for long. The server's own 30 s are cut to a half for the test."""
    monkeypatch.setitem(_QUERIES, "half", "SET idle_in_transaction_session_timeout = '500ms'")
    monkeypatch.setitem(_QUERIES, "limit", "SHOW idle_in_transaction_session_timeout")
    assert tables.rows("kept.limit") == [("30s",)]
    tables.rows("kept.half")
    with pytest.raises(Unavailable), tables.transaction():
        tables.write("kept.store", _some(5), times=("ts",), word="w")
        with psycopg.connect(database, autocommit=True) as other:
            deadline = time.monotonic() + 120
            while other.execute(
                "SELECT FROM pg_stat_activity"
                " WHERE application_name LIKE 'marketd/kernel/%' AND datname = current_database()"
            ).rowcount:
                assert time.monotonic() < deadline, "the server lets the session live"
        tables.rows("kept.count")
    tables.close()
    assert tables.rows("kept.count") == [(0,)]


def test_a_null_is_told_and_not_guessed(tables: DatabaseTables) -> None:
    with pytest.raises(BadData, match="NULL"):
        tables.read("kept.blank", ROW, times=("ts",))
    assert tables.rows("kept.count") == [(0,)]


def test_a_reader_may_stop_and_go_on_with_something_else(tables: DatabaseTables) -> None:
    tables.write("kept.store", _some(100_000), times=("ts",), word="w")
    for _ in range(2):
        for piece in tables.pieces("kept.all", ROW, times=("ts",), size=7, word="w"):
            assert len(piece) == 7
            break
        assert tables.rows("kept.count") == [(100_000,)]


def test_what_cannot_be_copied_is_told(tables: DatabaseTables) -> None:
    with pytest.raises(Misconfigured, match="nobody"):
        tables.read("kept.nobody", ROW, times=("ts",))
    read = 0
    with pytest.raises(BadData, match="division by zero"):
        for piece in tables.pieces("kept.halfway", ROW, times=("ts",), size=10):
            read += len(piece)
    assert read > 0
    assert tables.rows("kept.count") == [(0,)]


def test_errors_are_sorted(tables: DatabaseTables, database: str) -> None:
    with pytest.raises(Misconfigured):
        tables.rows("kept.make")
    with psycopg.connect(database, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
            " WHERE application_name LIKE 'marketd/kernel/%' AND datname = current_database()"
        )
    with pytest.raises(Unavailable):
        tables.rows("kept.count")


def test_a_field_without_a_fixed_size_is_refused() -> None:
    with pytest.raises(ValueError, match="name"):
        RowFormat.of(np.dtype([("name", "<U8")]))
    with pytest.raises(ValueError, match="ts"):
        RowFormat.of(np.dtype([("ts", "<f8")]), ("ts",))


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.integers(-(2**40), 2**42),
            st.floats(allow_nan=True),
            st.integers(-(2**31), 2**31 - 1),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_what_is_encoded_is_decoded(values: list[tuple[int, int, float, int, bool]]) -> None:
    rows = np.array(values, ROW)
    form = RowFormat.of(ROW, ("ts",))
    assert form.decode(form.encode(rows)).tobytes() == rows.tobytes()
