"""Alerts over a real database: each crossing once, whoever looks, whatever is killed on the way."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from src.adapters.timescale.alert_store import AlertStore
from src.adapters.timescale.candles.store import CandleStore
from src.model import DAY_MS, MINUTE_MS
from src.model.alerts import Looked, NewAlert
from tests.faults.database import ask, session
from tests.support.eventually import eventually
from tests.support.processes import ROOT

from .alert_world import DIRECTIONS, EXCHANGE, NOW_MS, candle, crossed, naive


async def test_a_close_that_crosses_is_told_once(
    database: str, candles: CandleStore, book: AlertStore
) -> None:
    closes = [110, 105, 100, 101, 99, 95, 105, 100, 100, 90, 120, 90, 100, 99, 100]
    await candles.write([candle(0, closes[0])], [])
    support = await book.add(NewAlert("BTCUSDT", 100.0, "long"), now_ms=NOW_MS + MINUTE_MS)
    resistance = await book.add(NewAlert("BTCUSDT", 100.0, "short"), now_ms=NOW_MS + MINUTE_MS)
    for minute, close in enumerate(closes[1:], 1):
        await candles.write([candle(minute, close)], [])
        looks = [book.look(NOW_MS + (minute + 1) * MINUTE_MS) for _ in range(3)]
        await asyncio.gather(*looks)
        await book.look(NOW_MS + (minute + 1) * MINUTE_MS)
    wanted = [(support, minute) for minute in naive(closes, 100, "long")]
    wanted += [(resistance, minute) for minute in naive(closes, 100, "short")]
    assert await crossed(database) == wanted


async def test_what_was_crossed_while_nobody_looked_is_told_late(
    database: str, candles: CandleStore, book: AlertStore
) -> None:
    await candles.write([candle(0, 110)], [])
    alert = await book.add(NewAlert("BTCUSDT", 100.0, "long"), now_ms=NOW_MS + MINUTE_MS)
    day = DAY_MS // MINUTE_MS
    minutes = {1: 105.0, 5: 99.0, 3 * day: 120.0, 3 * day + 40: 90.0}
    await candles.write([candle(minute, close) for minute, close in minutes.items()], [])
    until_ms = NOW_MS + (3 * day + 41) * MINUTE_MS
    for _ in range(6):
        found = await book.look(until_ms)
    assert found.behind == 0
    assert await crossed(database) == [(alert, 5), (alert, 3 * day + 40)]


@pytest.mark.parametrize("days", [1.5, 2.5, 3])
async def test_a_price_is_crossed_over_a_hole_that_is_longer_than_what_is_looked_back(
    database: str, candles: CandleStore, book: AlertStore, days: float
) -> None:
    await candles.write([candle(0, 110)], [])
    alert = await book.add(NewAlert("BTCUSDT", 100.0, "long"), now_ms=NOW_MS + MINUTE_MS)
    later = round(days * DAY_MS) // MINUTE_MS
    await candles.write([candle(1, 105), candle(later, 90)], [])
    until_ms = NOW_MS + (later + 1) * MINUTE_MS
    assert (await book.look(until_ms)).behind == 1
    for _ in range(6):
        found = await book.look(until_ms)
    assert found.behind == 0
    assert await crossed(database) == [(alert, later)]


async def test_a_day_without_candles_is_waited_for_an_hour_longer(
    database: str, candles: CandleStore, book: AlertStore
) -> None:
    await candles.write([candle(0, 110)], [])
    alert = await book.add(NewAlert("BTCUSDT", 100.0, "long"), now_ms=NOW_MS + MINUTE_MS)
    day = DAY_MS // MINUTE_MS
    assert await book.look(NOW_MS + (day + 60) * MINUTE_MS) == Looked(0, 0, 0)
    await candles.write([candle(day - 10, 90)], [])
    assert (await book.look(NOW_MS + (day + 61) * MINUTE_MS)).events == 1
    assert await crossed(database) == [(alert, day - 10)]
    assert await book.look(NOW_MS + (2 * day + 40) * MINUTE_MS) == Looked(0, 0, 0)
    assert (await book.look(NOW_MS + (2 * day + 60) * MINUTE_MS)).moved == 1, "it is over since an hour"


async def test_one_that_is_off_or_removed_is_left_alone_beside_one_that_is_not(
    database: str, candles: CandleStore, book: AlertStore
) -> None:
    await candles.write([candle(0, 110)], [])
    asked = NewAlert("BTCUSDT", 100.0, "long")
    on, off, gone = [await book.add(asked, now_ms=NOW_MS + MINUTE_MS) for _ in range(3)]
    assert off is not None and gone is not None
    await book.switch(off, enabled=False, now_ms=NOW_MS + MINUTE_MS)
    await book.remove(gone)
    await candles.write([candle(1, 90)], [])
    assert await book.look(NOW_MS + 2 * MINUTE_MS) == Looked(1, 1, 0)
    assert await crossed(database) == [(on, 1)]


async def test_a_look_needs_no_chunk_of_the_past(
    database: str, candles: CandleStore, book: AlertStore
) -> None:
    """Years of chunks would be planned each minute; somebody's lock on one of them would hold all alerts back."""
    long_ago = -30 * DAY_MS // MINUTE_MS
    await candles.write([candle(long_ago, 110), candle(0, 110)], [])
    alert = await book.add(NewAlert("BTCUSDT", 100.0, "long"), now_ms=NOW_MS + MINUTE_MS)
    await candles.write([candle(1, 90)], [])
    async with session(database) as other:
        await other.execute("SET search_path = market_data, public")
        rows = await other.execute(
            "SELECT c::text FROM show_chunks('candles_1m', older_than => to_timestamp(%s)) AS c",
            [NOW_MS / 1000 - 8 * 86_400],
        )
        [(chunk,)] = await rows.fetchall()
        locked = sql.Identifier(*str(chunk).split("."))
        await other.execute("BEGIN")
        await other.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(locked))
        async with asyncio.timeout(30):
            assert (await book.look(NOW_MS + 2 * MINUTE_MS)).events == 1
    assert await crossed(database) == [(alert, 1)]


async def test_the_minute_that_closed_before_an_alert_was_made_may_be_stored_after_it(
    database: str, candles: CandleStore, book: AlertStore
) -> None:
    await candles.write([candle(0, 90)], [])
    support = await book.add(NewAlert("BTCUSDT", 100.0, "long"), now_ms=NOW_MS + 2 * MINUTE_MS)
    await book.add(NewAlert("BTCUSDT", 100.0, "short"), now_ms=NOW_MS + 2 * MINUTE_MS)
    await candles.write([candle(1, 110)], [])
    await book.look(NOW_MS + 2 * MINUTE_MS)
    assert await crossed(database) == []
    await candles.write([candle(2, 95)], [])
    await book.look(NOW_MS + 3 * MINUTE_MS)
    assert await crossed(database) == [(support, 2)]


async def test_one_that_was_off_tells_nothing_of_meanwhile(
    database: str, candles: CandleStore, book: AlertStore
) -> None:
    await candles.write([candle(0, 110)], [])
    alert = await book.add(NewAlert("BTCUSDT", 100.0, "long"), now_ms=NOW_MS + MINUTE_MS)
    assert alert is not None
    assert await book.switch(alert, enabled=False, now_ms=NOW_MS + MINUTE_MS)
    await candles.write([candle(1, 90), candle(2, 110)], [])
    await book.look(NOW_MS + 3 * MINUTE_MS)
    assert await book.switch(alert, enabled=True, now_ms=NOW_MS + 3 * MINUTE_MS)
    await candles.write([candle(3, 110), candle(4, 95)], [])
    await book.look(NOW_MS + 5 * MINUTE_MS)
    assert await crossed(database) == [(alert, 4)]
    assert await book.remove(alert)
    assert not await book.remove(alert)
    assert not await book.switch(alert, enabled=True, now_ms=NOW_MS)


async def test_the_side_that_a_price_was_on_before_it_was_off_is_forgotten(
    database: str, candles: CandleStore, book: AlertStore
) -> None:
    """Over a hole nobody knows when it was crossed; while the alert was off is likelier than in this minute."""
    await candles.write([candle(0, 110)], [])
    alert = await book.add(NewAlert("BTCUSDT", 100.0, "long"), now_ms=NOW_MS + MINUTE_MS)
    assert alert is not None
    later = 2 * DAY_MS // MINUTE_MS
    await book.switch(alert, enabled=False, now_ms=NOW_MS + MINUTE_MS)
    await book.switch(alert, enabled=True, now_ms=NOW_MS + later * MINUTE_MS)
    await candles.write([candle(later, 90)], [])
    assert await book.look(NOW_MS + (later + 1) * MINUTE_MS) == Looked(0, 1, 0)
    await candles.write([candle(later + 1, 110), candle(later + 2, 90)], [])
    assert (await book.look(NOW_MS + (later + 3) * MINUTE_MS)).events == 1
    assert await crossed(database) == [(alert, later + 2)]


_KILLED = """
import asyncio, os, signal, sys, psycopg
from datetime import timedelta
from src.adapters.timescale.ledger.days import utc
from src.adapters.timescale.queries import query

async def main():
    connection = await psycopg.AsyncConnection.connect(sys.argv[1], options="-c search_path=market_data,public")
    until = utc(int(sys.argv[2]))
    oldest = until - timedelta(hours=1)
    bounds = {"oldest": oldest, "day_before": oldest - timedelta(days=1), "until": until}
    await connection.execute(query("alerts", "evaluate"), bounds)
    os.kill(os.getpid(), signal.SIGKILL)  # it is written, and not committed

asyncio.run(main())
"""


async def test_a_kill_leaves_all_of_a_look_or_nothing(
    database: str, candles: CandleStore, book: AlertStore
) -> None:
    await candles.write([candle(0, 110)], [])
    alert = await book.add(NewAlert("BTCUSDT", 100.0, "long"), now_ms=NOW_MS + MINUTE_MS)
    await candles.write([candle(1, 90), candle(2, 110), candle(3, 80)], [])
    until_ms = NOW_MS + 4 * MINUTE_MS
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _KILLED, database, str(until_ms)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert await crossed(database) == []
    await eventually(lambda: _looked(book, until_ms))
    assert await crossed(database) == [(alert, 1), (alert, 3)]


async def _looked(book: AlertStore, until_ms: int) -> bool:
    """Whether the server has let go of what the dead session held."""
    return (await book.look(until_ms)).moved > 0


_LOOKS = """
import asyncio, sys
from src.adapters.timescale.alert_store import AlertStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.pool import make_pool

async def main(url, exchange, until_ms):
    pool = make_pool(DatabaseOptions(url, exchange=exchange), purpose="alerts", size=1)
    await pool.open()
    book = AlertStore(pool, exchange=exchange)
    while True:
        await book.look(int(until_ms))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_who_is_killed_again_and_again_tells_each_crossing_once(
    database: str, candles: CandleStore, book: AlertStore
) -> None:
    rng = Random(20261127)
    closes = [rng.choice([97.0, 99.0, 100.0, 101.0, 103.0]) for _ in range(120)]
    until_ms = NOW_MS + 1000 * MINUTE_MS
    minute = 0

    async def close_one() -> None:
        nonlocal minute
        await candles.write([candle(minute, closes[minute])], [])
        minute += 1

    await close_one()
    alerts = {
        direction: await book.add(NewAlert("BTCUSDT", 100.0, direction), now_ms=NOW_MS + MINUTE_MS)
        for direction in DIRECTIONS
    }
    for _ in range(3):
        looking = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _LOOKS, database, EXCHANGE, str(until_ms), cwd=ROOT
        )
        try:
            for _ in range(30):
                await close_one()
            # It is seen to be at work, and is killed in the middle of it, wherever that is.
            await eventually(lambda: _watermark(database, at_least=minute), timeout=60)
            for _ in range(rng.randrange(1, 8)):
                await close_one()
        finally:
            looking.kill()
            await looking.wait()
        assert looking.returncode == -signal.SIGKILL
    while minute < len(closes):
        await close_one()
    await eventually(lambda: _at_end(book, database, until_ms, minute))
    wanted = [
        (alerts[direction], crossing)
        for direction in DIRECTIONS
        for crossing in naive(closes, 100.0, direction)
    ]
    assert await crossed(database) == wanted


async def _watermark(database: str, *, at_least: int) -> bool:
    """Whether every alert was looked at up to this minute."""
    [(first_ms,)] = await ask(
        database, "SELECT (extract(epoch FROM min(watermark)) * 1000)::bigint FROM market_data.alerts"
    )
    return int(str(first_ms)) >= NOW_MS + at_least * MINUTE_MS


async def _at_end(book: AlertStore, database: str, until_ms: int, minute: int) -> bool:
    """Looks until the server has let go of what the dead held, and nothing is left."""
    await book.look(until_ms)
    return await _watermark(database, at_least=minute)


@given(st.lists(st.sampled_from([98.0, 99.0, 100.0, 101.0, 102.0]), max_size=12))
def test_the_sentence_of_the_decision_never_tells_two_crossings_the_same_way_in_a_row(
    closes: list[float],
) -> None:
    long, short = (set(naive(closes, 100.0, direction)) for direction in ("long", "short"))
    assert not long & short
    assert not any(minute + 1 in long for minute in long)
