"""A whole market's history, filled through kills, accounted for to the minute, and equal to the venue's truth.

``MARKETD_TEST_HISTORY_SHARE`` (1) is the part of the symbols of each size, for a run that must be over sooner.
"""

from __future__ import annotations

import asyncio
import os
import random
from functools import partial
from pathlib import Path

import pytest

from src.model import DAY_MS
from tests.integration.backfill.past import Past, open_past, values_of
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.processes import Child

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

SHARE = float(os.environ.get("MARKETD_TEST_HISTORY_SHARE", "1"))
KILLS = 20
HOUR_S = 3600.0

STORED = """
SELECT (extract(epoch FROM bucket_ts) * 1000)::bigint, open, high, low, close, volume, quote_volume, trade_count,
       taker_buy_volume, taker_buy_quote_volume
FROM candles_1m WHERE symbol = %s AND bucket_ts < to_timestamp(%s) ORDER BY bucket_ts
"""
LEDGER = """
WITH counted AS (
    SELECT symbol, (bucket_ts AT TIME ZONE 'UTC')::date AS day, count(*) AS rows FROM candles_1m
    WHERE bucket_ts >= to_timestamp(%(first)s) AND bucket_ts < to_timestamp(%(until)s) GROUP BY symbol, day
)
SELECT symbol, day, have, rows FROM coverage_days LEFT JOIN counted USING (symbol, day)
WHERE dataset = 'candles_1m' AND day >= (to_timestamp(%(first)s) AT TIME ZONE 'UTC')::date
  AND day < (to_timestamp(%(until)s) AT TIME ZONE 'UTC')::date AND have <> coalesce(rows, 0)
"""
LINES = """
SELECT coalesce(sum(have), 0)::bigint FROM coverage_days
WHERE dataset = 'candles_1m' AND day >= (to_timestamp(%s) AT TIME ZONE 'UTC')::date
  AND day < (to_timestamp(%s) AT TIME ZONE 'UTC')::date
"""


def _share(number: int) -> int:
    return max(1, round(number * SHARE))


@pytest.mark.parametrize(
    ("symbols", "days"), [pytest.param(740, 10, id="740 x 10 d"), pytest.param(20, 365, id="20 x 1 y")]
)
async def test_history_survives_twenty_kills_and_equals_the_truth(
    symbols: int, days: int, database: str, tmp_path: Path
) -> None:
    ended = _share(max(2, symbols // 40))
    async with open_past(
        database, tmp_path, symbols=_share(symbols), history_days=days, delisted=ended, relisted=ended
    ) as past:
        await _fill_through_kills(past, tmp_path)
        daemon = Daemon(
            {**past.environment(tmp_path), "BACKFILL_FROM": past.day(0)},
            folder=tmp_path,
            arguments=("--all",),
        )
        daemon.start()
        try:
            await daemon.wait_ready(within=180)
            await eventually(lambda: _accounted(past), timeout=HOUR_S, message="the ledger accounts for all")
            await daemon.stop()
        finally:
            await daemon.kill()
        await _equals_truth(past)


async def _fill_through_kills(past: Past, folder: Path) -> None:
    """Kill at a seeded random moment, twenty times, each inside the work; then let it end."""
    chance = random.Random(9)
    for number in range(KILLS):
        child = _backfill(past, folder, number)
        before = await _rows(past)
        # The first half before anything is committed by this run, the second after.
        if number % 2:
            await eventually(partial(_more, past, before), timeout=300, message="rows are stored")
        await asyncio.sleep(chance.uniform(0, 2.5 * min(1.0, SHARE * 4)))
        assert child.exit_code is None, f"over after {number} kills, the share is too small:\n{child.tail()}"
        await child.kill()
    last = _backfill(past, folder, KILLS)
    try:
        assert await last.wait(within=HOUR_S) == 0, last.tail()
    finally:
        await last.kill()


def _backfill(past: Past, folder: Path, number: int) -> Child:
    return Child(
        ["-m", "src", "backfill", "--from", past.day(0)],
        environment=past.environment(folder),
        log=folder / f"backfill-{number}.log",
    )


async def _rows(past: Past) -> int:
    [(rows,)] = await past.sql("SELECT count(*) FROM candles_1m")
    return int(rows)


async def _more(past: Past, than: int) -> bool:
    return await _rows(past) > than


async def _accounted(past: Past) -> bool:
    return await past.unaccounted() == []


async def _equals_truth(past: Past) -> None:
    """Symbol by symbol, every value; and nothing of a symbol or a minute that the venue never had."""
    compared = 0
    for symbol in past.symbols():
        stored = await past.sql(STORED, [symbol, past.until_ms / 1000])
        truth = [(row.open_time, *values_of(row)) for row in past.sandbox.truth(symbol, 0, past.until_ms)]
        assert len(stored) == len(truth), f"{symbol} has {len(stored)} rows and not {len(truth)}"
        assert stored == truth, symbol
        compared += len(truth)
    [(rows,)] = await past.sql(
        "SELECT count(*) FROM candles_1m WHERE bucket_ts < to_timestamp(%s)", [past.until_ms / 1000]
    )
    assert rows == compared > 0
    over = {"first": past.first_ms // 1000, "until": past.until_ms // DAY_MS * DAY_MS // 1000}
    assert await past.sql(LEDGER, over) == []
    # Not only do the lines add up: they are all there.
    [(have,)] = await past.sql(LINES, [over["first"], over["until"]])
    [(rows,)] = await past.sql(
        "SELECT count(*) FROM candles_1m WHERE bucket_ts >= to_timestamp(%s) AND bucket_ts < to_timestamp(%s)",
        [over["first"], over["until"]],
    )
    assert have == rows
