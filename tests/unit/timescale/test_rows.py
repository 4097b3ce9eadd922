"""Candles as rows: one a key, text that PostgreSQL can hold, and a connection string that gives nothing away."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from src.adapters.timescale.options import DatabaseOptions, conninfo, url_parts
from src.adapters.timescale.rows import COLUMN_TYPES, as_row, as_text, printable, winners
from src.errors import ConfigError
from src.model import MINUTE_MS, Authority, Candle

CANDLE = Candle("BTCUSDT", MINUTE_MS, 2, 3, 1, 2, 5, 10, 4, 2, 4, "binance_ws", Authority.STREAM)


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 2), st.integers(0, 3))))
def test_winners_are_one_a_key_in_order_and_the_largest(picks: list[tuple[str, int, int]]) -> None:
    rows = [replace(CANDLE, symbol=s, open_ms=m * MINUTE_MS, trade_count=t) for s, m, t in picks]
    kept = winners(rows)
    assert [row.key for row in kept] == sorted({row.key for row in rows})
    assert all(kept_row.rank >= row.rank for kept_row in kept for row in rows if row.key == kept_row.key)


def test_a_row_has_a_type_for_each_column() -> None:
    assert len(as_row(CANDLE)) == len(COLUMN_TYPES) == 14


@given(st.text(st.characters(exclude_categories=[]), max_size=300), st.integers(0, 200))
def test_printable_text_can_always_be_stored(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert "\0" not in shown
    shown.encode("utf-8")


def test_what_can_be_stored_is_not_changed() -> None:
    assert printable("币安人生USDT \\x00") == "币安人生USDT \\x00"


def test_a_refused_candle_is_kept_whole_as_text() -> None:
    text = as_text(replace(CANDLE, symbol="\0\ud800", volume=float("nan"), quote_volume=None))
    assert text.isascii()
    assert json.loads(text)["quote_volume"] is None
    assert json.loads(text)["symbol"] == "\0\ud800"


def test_a_value_of_any_type_is_kept_as_text() -> None:
    assert "b'x'" in as_text(replace(CANDLE, open=b"x"))  # type: ignore[arg-type]


def test_the_url_is_never_shown() -> None:
    options = DatabaseOptions("postgresql://me:secret@db/x")
    assert "secret" not in repr(options)
    with pytest.raises(ConfigError) as wrong:
        url_parts("postgresql://me:sec%zzret@db/x")
    assert "sec" not in str(wrong.value)
    assert wrong.value.__suppress_context__


def test_the_users_own_parameters_win_over_our_defaults() -> None:
    text = conninfo(
        "postgresql://db/x?keepalives_idle=60&application_name=mine", application_name="a", writable=True
    )
    parts = conninfo_to_dict(text)
    assert parts["keepalives_idle"] == "60"
    assert parts["tcp_user_timeout"] == "15000"
    assert parts["application_name"] == "a"
    assert parts["target_session_attrs"] == "read-write"
    assert "target_session_attrs" not in conninfo_to_dict(
        conninfo("dbname=x", application_name="a", writable=False)
    )


def test_the_lock_is_of_schema_exchange_and_role() -> None:
    keys = {
        DatabaseOptions("", schema=schema, exchange=exchange, role=role).lock_key
        for schema in ("a", "b")
        for exchange in ("a", "b")
        for role in ("ws", "metrics", "backfill")
    }
    assert len(keys) == 12
    assert all(-(2**63) <= key < 2**63 for key in keys)
    assert DatabaseOptions("", run_id="x").lock_key == DatabaseOptions("", run_id="y").lock_key


def test_the_application_name_fits() -> None:
    assert len(DatabaseOptions("").application_name("backfill")) <= 63
