"""The writer's session: what is stored, what is refused, and what a repetition does."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import LiteralString

import psycopg
import pytest

from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.options import DatabaseOptions
from src.errors import BadData, ConfigError, Unavailable
from src.model import MINUTE_MS, Authority, Candle, Gap, WriteResult
from src.telemetry.metrics import Metrics

from .helpers import CANDLE, START_MS, as_tuple, connect, fetch, minutes, opened, stored


async def test_stores_every_value_digit_for_digit(database: str) -> None:
    rows = [CANDLE, replace(CANDLE, symbol="币安人生USDT", volume=0.1 + 0.2, taker_buy_volume=0.3)]
    async with opened(database) as store:
        assert await store.write(rows, []) == WriteResult(2, 0, 0)
    assert await stored(database) == [as_tuple(row) for row in rows]
    assert await fetch(database, "SELECT DISTINCT exchange, is_closed FROM candles_1m") == [
        ("binance_futures_um", True)
    ]


async def test_a_replay_writes_nothing(database: str) -> None:
    rows = minutes(100)
    async with opened(database) as store:
        await store.write(rows, [])
        before = await fetch(database, "SELECT ctid, xmin, xmax FROM candles_1m ORDER BY bucket_ts")
        assert await store.write(rows, []) == WriteResult(0, 0, 100)
        after = await fetch(database, "SELECT ctid, xmin FROM candles_1m ORDER BY bucket_ts")
    # xmax changes: ON CONFLICT locks the row it then leaves alone.
    assert after == [row[:2] for row in before]


async def test_one_batch_may_hold_a_minute_twice(database: str) -> None:
    better = replace(CANDLE, trade_count=1028)
    async with opened(database) as store:
        assert await store.write([better, CANDLE], []) == WriteResult(1, 0, 1)
    assert await stored(database) == [as_tuple(better)]


async def test_a_row_that_knows_more_replaces_and_leaves_the_old_one_as_a_revision(database: str) -> None:
    mended = replace(CANDLE, trade_count=1030, volume=14.0, source="binance_rest", authority=Authority.REST)
    async with opened(database) as store:
        await store.write([CANDLE], [])
        assert await store.write([mended], []) == WriteResult(0, 1, 0)
        assert await store.write([CANDLE], []) == WriteResult(0, 0, 1)
    assert await stored(database) == [as_tuple(mended)]
    old = await fetch(
        database,
        "SELECT symbol, volume, trade_count, source, authority, new_source, new_authority FROM candle_revisions",
    )
    assert old == [("BTCUSDT", 13.551, 1027, "binance_ws", 1, "binance_rest", 2)]


async def test_equal_values_of_a_better_source_change_only_where_they_come_from(database: str) -> None:
    archived = replace(CANDLE, source="binance_archive", authority=Authority.ARCHIVE)
    async with opened(database) as store:
        await store.write([CANDLE], [])
        assert await store.write([archived], []) == WriteResult(0, 1, 0)
    assert await stored(database) == [as_tuple(archived)]
    assert await fetch(database, "SELECT count(*) FROM candle_revisions") == [(0,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE candles_1m SET close = low",
        "INSERT INTO candles_1m SELECT * FROM candles_1m ON CONFLICT (exchange, symbol, bucket_ts)"
        " DO UPDATE SET quote_volume = NULL",
    ],
)
async def test_no_path_overwrites_without_a_revision(database: str, statement: LiteralString) -> None:
    async with opened(database) as store:
        await store.write([CANDLE], [])
    await fetch(database, statement)
    assert await fetch(database, "SELECT close, quote_volume FROM candle_revisions") == [
        (83091.6, 1125714.7396)
    ]


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    "bad",
    [
        {"low": 0.0},
        {"low": -1.0},
        {"low": 83090.0},
        {"high": 83080.0},
        {"high": INFINITY},
        {"open": NAN},
        {"high": NAN},
        {"low": NAN},
        {"close": NAN},
        {"open": NAN, "high": NAN, "low": NAN, "close": NAN},
        {"volume": NAN},
        {"volume": -1.0},
        {"volume": INFINITY},
        {"quote_volume": NAN},
        {"quote_volume": INFINITY},
        {"trade_count": -1},
        {"taker_buy_volume": 13.552},
        {"taker_buy_volume": NAN},
        {"taker_buy_quote_volume": NAN},
        {"taker_buy_quote_volume": -0.1},
        {"open_ms": START_MS + 1},
        {"open_ms": START_MS + 1000},
        {"symbol": ""},
        {"revision": -1},
        # what no column can hold at all
        {"symbol": "BTC\0USDT"},
        {"symbol": "BTC\ud800USDT"},
        {"source": "\udfff"},
        {"trade_count": 2**63},
        {"open_ms": 2**64},
        {"open_ms": 2**62},
        {"symbol": "X" * 50_000},
    ],
    ids=lambda bad: ",".join(f"{name}={value!r:.20}" for name, value in bad.items()),
)
async def test_a_poison_row_is_bad_data_and_nothing_of_its_batch_is_stored(
    database: str, bad: dict[str, float | int | str]
) -> None:
    poison = replace(CANDLE, **bad)  # type: ignore[arg-type]
    good = minutes(9, "ETHUSDT")
    async with opened(database) as store:
        with pytest.raises(BadData):
            await store.write([*good[:5], poison, *good[5:]], [])
        assert await stored(database) == []
        assert store.is_open, "a bad row does not cost the session"
        await store.quarantine(poison, reason="poison", detail="\0 and \ud800")
        assert await store.write(good, []) == WriteResult(9, 0, 0)
    assert await fetch(database, "SELECT reason, times_seen FROM rejected_rows") == [("poison", 1)]


async def test_a_row_refused_again_only_counts_up(database: str) -> None:
    async with opened(database) as store:
        for _ in range(3):
            await store.quarantine(CANDLE, reason="price", detail="high below low")
        await store.quarantine(replace(CANDLE, low=NAN), reason="price", detail="not a number")
    rows = await fetch(
        database, "SELECT symbol, open_ms, times_seen, raw_row FROM rejected_rows ORDER BY times_seen"
    )
    assert [(symbol, int(open_ms), seen) for symbol, open_ms, seen, _ in rows] == [
        ("BTCUSDT", START_MS, 1),
        ("BTCUSDT", START_MS, 3),
    ]
    assert json.loads(rows[1][3])["close"] == 83091.6


async def test_gaps_are_written_with_the_rows_and_once(database: str) -> None:
    gaps = [
        Gap("BTCUSDT", START_MS, START_MS + 3 * MINUTE_MS, "buffer_full"),
        Gap("POI\0SON", START_MS, START_MS + MINUTE_MS, "buffer_full"),
    ]
    async with opened(database) as store:
        assert await store.write([CANDLE], gaps) == WriteResult(1, 0, 0)
        assert await store.write([], gaps) == WriteResult(0, 0, 0)
    rows = await fetch(database, "SELECT symbol, to_ts - from_ts, reason FROM gap_events ORDER BY symbol")
    assert [(symbol, span.total_seconds(), reason) for symbol, span, reason in rows] == [
        ("BTCUSDT", 180, "buffer_full"),
        ("POI\\x00SON", 60, "buffer_full"),
    ]


async def test_a_bad_row_takes_the_gaps_of_its_batch_back_too(database: str) -> None:
    gap = Gap("BTCUSDT", START_MS, START_MS + MINUTE_MS, "buffer_full")
    async with opened(database) as store:
        with pytest.raises(BadData):
            await store.write([replace(CANDLE, low=0.0)], [gap])
    assert await fetch(database, "SELECT count(*) FROM gap_events") == [(0,)]


async def test_an_empty_write_asks_the_database_nothing(database: str) -> None:
    assert await CandleStore(DatabaseOptions(database)).write([], []) == WriteResult(0, 0, 0)


async def test_without_open_a_write_is_retryable(database: str) -> None:
    with pytest.raises(Unavailable):
        await CandleStore(DatabaseOptions(database)).write([CANDLE], [])


async def test_open_refuses_pending_migrations_by_name(empty_database: str) -> None:
    with pytest.raises(ConfigError, match=r"0001_candles\.sql.*marketd migrate"):
        await CandleStore(DatabaseOptions(empty_database)).open()


async def test_open_refuses_synchronous_commit_off(database: str) -> None:
    await _alter_database(database, "synchronous_commit", "off")
    with pytest.raises(ConfigError, match="synchronous_commit"):
        await CandleStore(DatabaseOptions(database)).open()


async def test_the_defaults_of_role_and_database_do_not_move_a_minute(database: str) -> None:
    await _alter_database(database, "TimeZone", "America/New_York")
    await _alter_database(database, "DateStyle", "German")
    await _alter_database(database, "search_path", "nowhere")
    async with opened(database) as store:
        await store.write([CANDLE], [])
    assert await stored(database) == [as_tuple(CANDLE)]


async def test_clean_start_tells_how_the_run_before_ended(database: str) -> None:
    metrics = Metrics()
    for finish, expected in ((False, -1), (True, 0), (True, 1)):
        store = CandleStore(DatabaseOptions(database), metrics)
        await store.open()
        assert store.clean_start == expected
        assert metrics.registry.get_sample_value("marketd_clean_start") == expected
        if finish:
            await store.finish_run()
        await store.close()
    assert metrics.registry.get_sample_value("marketd_database_up") == 0


async def test_close_may_be_called_without_open_and_twice(database: str) -> None:
    store = CandleStore(DatabaseOptions(database))
    await store.close()
    await store.open()
    await store.close()
    await store.close()
    assert not store.is_open


async def test_the_landing_table_is_made_anew_in_the_same_session(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table: LiteralString = (
        "SELECT pg_class.oid, pid FROM pg_class, pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE relname = 'candles_incoming' AND locktype = 'advisory' AND datname = current_database()"
    )
    async with opened(database) as store:
        before = await fetch(database, table)
        monkeypatch.setattr("src.adapters.timescale.sessions.incoming._RENEW_S", 0.0)
        assert await store.write([CANDLE], []) == WriteResult(1, 0, 0)
        after = await fetch(database, table)
    assert after[0][0] != before[0][0]
    assert after[0][1] == before[0][1]


async def test_a_failed_renewal_leaves_a_landing_table(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database) as store:
        monkeypatch.setattr("src.adapters.timescale.sessions.incoming._RENEW_S", 0.0)
        with pytest.raises(BadData):
            await store.write([replace(CANDLE, low=0.0)], [])
        monkeypatch.undo()
        assert await store.write([CANDLE], []) == WriteResult(1, 0, 0)


async def test_two_writers_of_other_roles_cannot_deadlock(database: str) -> None:
    symbols = [f"S{n}USDT" for n in range(300)]
    rows = [replace(CANDLE, symbol=symbol) for symbol in symbols]
    better: list[Candle] = [replace(row, trade_count=2000) for row in reversed(rows)]
    async with opened(database) as live, opened(database, role="backfill") as history:
        results = await asyncio.gather(live.write(rows, []), history.write(better, []))
    assert sum(result.inserted for result in results) == 300
    assert await stored(database) == [as_tuple(row) for row in sorted(better, key=lambda row: row.key)]


async def _alter_database(url: str, setting: LiteralString, value: LiteralString) -> None:
    async with await connect(url) as connection:
        statement = psycopg.sql.SQL("ALTER DATABASE {} SET {} = {}").format(
            psycopg.sql.Identifier(connection.info.dbname),
            psycopg.sql.Identifier(setting),
            psycopg.sql.Literal(value),
        )
        await connection.execute(statement)
