"""Ten thousand minutes lost from a month of a hundred symbols: found exactly, and refilled at the least weight.

``MARKETD_TEST_HISTORY_SHARE`` (1) is the part of the symbols and of the holes, for a run that must be over sooner.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg
import pytest

from src.model import DAY_MS, MINUTE_MS, Dataset
from src.sandbox.market.bulk import csv_rows
from tests.integration.backfill.past import Past, open_past, values_of
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.processes import Child

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

SHARE = float(os.environ.get("MARKETD_TEST_HISTORY_SHARE", "1"))
SYMBOLS = max(6, round(100 * SHARE))
HOLES = round(10_000 * SHARE)
DAYS = 30
ENDED = 2
HOUR_S = 3600.0

DAY_FILE = 6
"""What a day's file is worth: a whole day over REST takes three requests of weight 2."""
UNPUBLISHED_DAYS = 2

STAGE = """
CREATE TEMP TABLE stage (
    open_ms bigint, open float8, high float8, low float8, close float8, volume float8, close_ms bigint,
    quote_volume float8, trade_count bigint, taker float8, taker_quote float8, ignored text
)
"""
SEED = """
INSERT INTO candles_1m (
    exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,
    taker_buy_quote_volume, authority, source
)
SELECT %s, %s, to_timestamp(open_ms / 1000), open, high, low, close, volume, quote_volume, trade_count, taker,
       taker_quote, 3, 'binance_archive'
FROM stage
"""
LOSE = """
DELETE FROM candles_1m USING unnest(%s::text[], %s::bigint[]) AS lost (symbol, ms)
WHERE candles_1m.symbol = lost.symbol AND bucket_ts = to_timestamp(ms / 1000)
"""
WRITTEN_SINCE = """
SELECT symbol, (extract(epoch FROM bucket_ts) * 1000)::bigint, open, high, low, close, volume, quote_volume,
       trade_count, taker_buy_volume, taker_buy_quote_volume
FROM candles_1m WHERE ingested_at > %s AND bucket_ts < to_timestamp(%s)
"""
TO_DO = """
SELECT count(*) FROM coverage_days
WHERE dataset = 'candles_1m' AND day >= %s::date AND day < %s::date AND state IN ('dirty', 'open')
"""
USUAL = {"/fapi/v1/time 200", "/fapi/v1/exchangeInfo 200", "/archive-list 200"}
"""What is asked whatever is missing: the time, the contracts, the archive's folders."""
REFILL = {"/fapi/v1/klines 200", "/archive/*.zip 200", "/archive/*.CHECKSUM 200"}

Minute = tuple[str, int]
"""Symbol and start, UTC milliseconds."""


@dataclass(frozen=True, slots=True)
class Stay:
    """One listing of a symbol inside the month, [from_ms, to_ms), and the archive's folder that holds it."""

    symbol: str
    folder: str
    from_ms: int
    to_ms: int

    def file(self, day: int) -> str:
        """The key of a day's file; days are counted since 1970."""
        label = datetime.fromtimestamp(day * DAY_MS / 1000, UTC).date().isoformat()
        return f"data/futures/um/daily/klines/{self.folder}/1m/{self.folder}-1m-{label}.zip"


@dataclass
class Month:
    """The thirty days that are over, of all symbols. ``read`` are the archive files that were asked for before."""

    past: Past
    until_ms: int
    stays: list[Stay]
    read: set[str] = field(default_factory=set)

    def random_minutes(self, number: int, chance: random.Random, *, until_ms: int = 0) -> set[Minute]:
        """So many minutes, each as likely as any other."""
        ends = [min(stay.to_ms, until_ms or self.until_ms) for stay in self.stays]
        lengths = [
            max(end - stay.from_ms, 0) // MINUTE_MS for stay, end in zip(self.stays, ends, strict=True)
        ]
        chosen: set[Minute] = set()
        for place in chance.sample(range(sum(lengths)), number):
            for stay, length in zip(self.stays, lengths, strict=True):
                if place < length:
                    chosen.add((stay.symbol, stay.from_ms + place * MINUTE_MS))
                    break
                place -= length
        return chosen

    def uneven_minutes(self, number: int, chance: random.Random) -> set[Minute]:
        """Half of them in days that lose fifty each, so that files are worth their while.

        None of yesterday: the daemon could ask for them together with the minutes of today, as these come.
        """
        until_ms = self.until_ms - DAY_MS
        chosen = self.random_minutes(number // 2, chance, until_ms=until_ms)
        while len(chosen) < number:
            [(symbol, ms)] = self.random_minutes(1, chance, until_ms=until_ms)
            places = chance.sample(range(DAY_MS // MINUTE_MS), 50)
            day = {(symbol, ms // DAY_MS * DAY_MS + place * MINUTE_MS) for place in places}
            chosen |= {key for key in day if self.stay_of(key)}
        return set(chance.sample(sorted(chosen), number))

    def stay_of(self, minute: Minute) -> Stay | None:
        symbol, ms = minute
        found = (stay for stay in self.stays if stay.symbol == symbol and stay.from_ms <= ms < stay.to_ms)
        return next(found, None)

    def file_of(self, minute: Minute) -> str:
        """The key of the daily file that holds a minute."""
        stay = self.stay_of(minute)
        assert stay is not None, minute
        return stay.file(minute[1] // DAY_MS)

    def least(self, lost: Collection[Minute]) -> int:
        """The least weight that brings all of ``lost``, where a day's file is worth ``DAY_FILE``."""
        return sum(
            self._least_of(sorted(key for key in lost if key[0] == symbol))
            for symbol in {symbol for symbol, _ in lost}
        )

    def _least_of(self, lost: Sequence[Minute]) -> int:
        """From the last minute back: a request of either weight that begins there, or the file of its day."""
        best = [0] * (len(lost) + 1)
        files = [self.file_of(minute) for minute in lost]
        for at in range(len(lost) - 1, -1, -1):
            ways = []
            for reach, weight in ((99, 1), (499, 2)):
                then = at
                while then < len(lost) and lost[then][1] < lost[at][1] + reach * MINUTE_MS:
                    then += 1
                ways.append(weight + best[then])
            if self._can_be_read(files[at], lost[at][1]):
                then = at
                while then < len(lost) and files[then] == files[at]:
                    then += 1
                ways.append(DAY_FILE + best[then])
            best[at] = min(ways)
        return best[0]

    def _can_be_read(self, file: str, ms: int) -> bool:
        """The newest days are not published yet, and a file is read once."""
        today = self.until_ms // DAY_MS
        return ms // DAY_MS <= today - UNPUBLISHED_DAYS and file not in self.read


async def test_ten_thousand_minutes_are_found_exactly_and_refilled_at_the_least_weight(
    database: str, tmp_path: Path
) -> None:
    """Scattered ones by ``marketd backfill``, then uneven ones by the daemon's patrol."""
    chance = random.Random(94)
    async with open_past(
        database, tmp_path, symbols=SYMBOLS - ENDED, history_days=DAYS, delisted=ENDED, relisted=ENDED
    ) as past:
        month = _month(past)
        await _seed(past)
        await _count(past)
        # When a contract ended the archive's listing says to the day; once those days were asked about, it is known.
        await _backfill(past, tmp_path, "ends")
        month.read |= {one.key for one in past.sandbox.venue.stats.downloads}
        await _lose(past, [])
        await _backfill(past, tmp_path, "nothing")
        assert await _found(month) == set()
        assert past.requests().keys() <= USUAL

        lost = month.random_minutes(HOLES, chance)
        since = await _lose(past, lost)
        assert await _found(month) == lost
        await _backfill(past, tmp_path, "scattered")
        await _is_refilled(month, lost, since)

        lost = month.uneven_minutes(HOLES, chance)
        since = await _lose(past, lost)
        assert await _found(month) == lost
        await _patrol(past, tmp_path)
        assert await _is_refilled(month, lost, since) > 0


def _month(past: Past) -> Month:
    until_ms = past.first_ms + DAYS * DAY_MS
    stays = []
    for symbol in past.symbols():
        for folder, periods in past.sandbox.venue.universe.find(symbol).folders().items():
            for period in periods:
                end_ms = until_ms if period.end is None else min(period.end * MINUTE_MS, until_ms)
                if period.first * MINUTE_MS < end_ms:
                    stays.append(Stay(symbol, folder, period.first * MINUTE_MS, end_ms))
    return Month(past, until_ms, stays)


async def _seed(past: Past) -> None:
    """Everything that the venue has up to now, past all that marketd would write it with."""
    exchange = past.core.settings.binance_ws_db_exchange
    async with await psycopg.AsyncConnection.connect(
        past.database_url, options="-c search_path=market_data,public"
    ) as connection:
        await connection.execute(STAGE)
        for symbol in past.symbols():
            instrument = past.sandbox.venue.universe.find(symbol)
            async with (
                connection.cursor() as cursor,
                cursor.copy("COPY stage FROM STDIN (FORMAT csv)") as copy,
            ):
                for period in instrument.periods:
                    now = past.until_ms // MINUTE_MS
                    end = now if period.end is None else min(period.end, now)
                    await copy.write(await asyncio.to_thread(csv_rows, instrument.traits, period.first, end))
            await connection.execute(SEED, [exchange, symbol])
            await connection.execute("TRUNCATE stage")
            await connection.commit()


async def _count(past: Past) -> None:
    """What the rolling audit does in thirty days, at once: the rows came in round the program."""
    ledger = past.history.ledger
    first, last = (datetime.fromtimestamp(ms / 1000, UTC).date() for ms in (past.first_ms, past.until_ms))
    await ledger.recount(await ledger.open_days(Dataset.CANDLES, first, last))


async def _lose(past: Past, lost: Collection[Minute]) -> datetime:
    """Delete them as a person would, forget what was asked for before, and return the database's time."""
    stats = past.sandbox.venue.stats
    stats.requests.clear()
    stats.klines.clear()
    stats.downloads.clear()
    keys = sorted(lost)
    await past.sql(LOSE, [[symbol for symbol, _ in keys], [ms for _, ms in keys]])
    [(now,)] = await past.sql("SELECT clock_timestamp()")
    assert isinstance(now, datetime)
    return now


async def _found(month: Month) -> set[Minute]:
    """What the ledger says is missing of the month, minute by minute."""
    ledger = month.past.history.ledger
    first, last = (
        datetime.fromtimestamp(ms / 1000, UTC).date() for ms in (month.past.first_ms, month.until_ms - 1)
    )
    days = await ledger.open_days(Dataset.CANDLES, first, last)
    gaps = await ledger.holes(Dataset.CANDLES, days, month.until_ms)
    return {(gap.symbol, ms) for gap in gaps for ms in range(gap.from_ms, gap.to_ms, MINUTE_MS)}


async def _backfill(past: Past, folder: Path, name: str) -> None:
    child = Child(
        ["-m", "src", "backfill", "--from", past.day(0), "--to", past.day(DAYS)],
        environment=past.environment(folder),
        log=folder / f"{name}.log",
    )
    try:
        assert await child.wait(within=HOUR_S) == 0, child.tail()
    finally:
        await child.kill()


async def _patrol(past: Past, folder: Path) -> None:
    """The daemon without the comparison of whole days with their files, which reads every one."""
    settings = {**past.environment(folder), "BACKFILL_FROM": past.day(0), "VERIFY_ARCHIVE": "off"}
    daemon = Daemon(settings, folder=folder, arguments=("--backfill",))
    daemon.start()
    try:
        await daemon.wait_ready()
        await eventually(partial(_is_complete, past), timeout=HOUR_S, message="nothing is left to do")
        await daemon.stop()
    finally:
        await daemon.kill()


async def _is_complete(past: Past) -> bool:
    return await past.sql(TO_DO, [past.day(0), past.day(DAYS)]) == [(0,)]


async def _is_refilled(month: Month, lost: set[Minute], since: datetime) -> int:
    """Those rows and no others were written, with the venue's values, by requests that each of them justifies and
    that cost the least; the number of files that were read."""
    past = month.past
    rows = await past.sql(WRITTEN_SINCE, [since, month.until_ms / 1000])
    truth = {
        (symbol, ms): values_of(row)
        for symbol, ms in lost
        for row in past.sandbox.truth(symbol, ms, ms + MINUTE_MS)
    }
    assert {(row[0], row[1]): row[2:] for row in rows} == truth
    assert truth.keys() == lost
    assert await past.sql("SELECT count(*) FROM candle_revisions") == [(0,)]
    assert await _found(month) == set()

    assert past.requests().keys() <= USUAL | REFILL
    files, in_files = _files_justified(month, lost)
    weight = _requests_justified(month, lost, in_files)
    assert weight + DAY_FILE * len(files) == month.least(lost)
    month.read |= files
    return len(files)


def _files_justified(month: Month, lost: Collection[Minute]) -> tuple[set[str], set[Minute]]:
    """The files that were read, each once and with its proof, and the minutes they were read for."""
    asked = [one.key for one in month.past.sandbox.venue.stats.downloads]
    assert {one.status for one in month.past.sandbox.venue.stats.downloads} <= {200}
    files = {key for key in asked if key.endswith(".zip")}
    assert sorted(asked) == sorted([*files, *(f"{key}.CHECKSUM" for key in files)])
    in_files = {minute for minute in lost if month.file_of(minute) in files}
    assert {month.file_of(minute) for minute in in_files} == files
    return files, in_files


def _requests_justified(month: Month, lost: Collection[Minute], in_files: set[Minute]) -> int:
    """Every minute outside the files was asked for exactly once, and every request begins and ends with one such; what
    the requests cost. The day that goes on is not part of it."""
    left = sorted(set(lost) - in_files)
    weight = 0
    brought: list[Minute] = []
    for asked in month.past.sandbox.venue.stats.klines:
        assert asked.start_ms is not None and asked.end_ms is not None
        if asked.start_ms >= month.past.until_ms:
            continue
        minutes = range(asked.start_ms, asked.end_ms + 1, MINUTE_MS)
        inside = [(asked.symbol, ms) for ms in minutes if (asked.symbol, ms) in lost]
        inside = [minute for minute in inside if minute not in in_files]
        assert inside[:1] == [(asked.symbol, asked.start_ms)], asked
        assert inside[-1:] == [(asked.symbol, asked.end_ms)], asked
        assert len(minutes) == asked.limit <= 499
        brought += inside
        weight += 1 if asked.limit <= 99 else 2
    assert sorted(brought) == left
    return weight
