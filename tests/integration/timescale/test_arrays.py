"""Lists arrive as they were: a text made here and read by PostgreSQL, against psycopg's own arrays."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.arrays import with_literals
from src.adapters.timescale.sessions.shared import SharedSession

_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
_KINDS: dict[str, st.SearchStrategy[object]] = {
    "text": _TEXTS | st.sampled_from(["NULL", "null", "{}", '"', "\\", ",", " ", "", "币安人生USDT"]),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, places=8),
    "float8": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "date": st.dates(),
    "timestamptz": st.datetimes(
        min_value=datetime.fromisoformat("1900-01-01"),
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))]),
    ),
}


@pytest.mark.parametrize("kind", _KINDS)
def test_a_list_arrives_as_it_was(database: str, kind: str) -> None:
    session = SharedSession(DatabaseOptions(database), purpose="arrays")
    statement = f"SELECT value FROM unnest(%(values)s::{kind}[]) WITH ORDINALITY AS given (value, place) ORDER BY place"

    with asyncio.Runner() as runner:

        @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(values=st.lists(st.none() | _KINDS[kind], max_size=60))
        def arrives(values: list[object]) -> None:
            rows = runner.run(session.rows(statement, {"values": values}))
            assert [value for (value,) in rows] == values

        arrives()
        runner.run(session.close())


def test_what_has_no_literal_is_left_to_the_driver() -> None:
    """Bytes, lists of lists, several kinds at once."""
    left = {
        "hashes": [b"\x01"] * 40,
        "spans": [[1, 2]] * 40,
        "mixed": [1, "1"] * 20,
        "text": "{}",
    }
    assert with_literals(left) == left


def test_what_has_one_becomes_one_text() -> None:
    made = with_literals(
        {
            "rates": [Decimal("0.00010000"), None] * 16,
            "days": [date(2026, 1, 2)],
            "none": [],
        }
    )
    assert made == {
        "rates": "{" + ",".join(["0.00010000", "NULL"] * 16) + "}",
        "days": "{2026-01-02}",
        "none": "{}",
    }
