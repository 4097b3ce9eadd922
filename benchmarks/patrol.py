"""One pass of the gap patrol over the ledger: 740 symbols, with 30 and with 365 days of history behind them.

Both times the same days are incomplete, so that whatever is dearer with more history is history itself. The ledger
holds all days, candles exist for the last three: a complete day's candles are not looked at, and should they be, the
figure would show it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import psycopg
import uvloop

from benchmarks.database import private_database, settings_of
from src.adapters.timescale.ledger.days import day_of, start_of
from src.adapters.timescale.ledger.ledger import CoverageStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.adapters.timescale.sessions.shared import SharedSession
from src.model import MINUTE_MS, Dataset, Listing

SYMBOLS = 740
PASSES = 25
_NOW_MS = start_of(date(2026, 10, 7)) + 600 * MINUTE_MS
_FOREVER_MS = 4_133_404_800_000
_EXCHANGE = "binance_futures_um"
_HOLES_IN = 60
"""Symbols that lack minutes of each of the three days with candles."""


def run() -> dict[str, object]:
    """{symbols, ms_30_days, ms_365_days, growth, open_days, gaps, first_follow_ms ...}; takes about two minutes."""
    with private_database("patrol") as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return {"symbols": SYMBOLS, "passes": PASSES, **runner.run(_measure(url)), **settings_of(url)}


async def _measure(url: str) -> dict[str, object]:
    short, long = await History.of(url, 30), await History.of(url, 365)
    for _ in range(PASSES):
        # In turns, so that whatever else the machine does weighs on both.
        await short.look()
        await long.look()
    await short.session.close()
    await long.session.close()
    if short.found != long.found:
        raise RuntimeError(f"not the same work: {short.found} and {long.found}")
    open_days, gaps = long.found
    return {
        "ms_30_days": round(short.median_ms, 2),
        "ms_365_days": round(long.median_ms, 2),
        "growth": round(long.median_ms / short.median_ms, 3),
        "open_days": open_days,
        "gaps": gaps,
        "lines_365_days": SYMBOLS * 365,
        "first_follow_ms_365_days": round(long.first_follow_ms, 1),
    }


@dataclass
class History:
    """A schema of its own with so many days behind it, and what its passes took and found."""

    session: SharedSession
    ledger: CoverageStore
    listings: Sequence[Listing]
    since: date
    first_follow_ms: float
    times: list[float] = field(default_factory=list)
    found: tuple[int, int] = (0, 0)

    @classmethod
    async def of(cls, url: str, days: int) -> History:
        schema = f"days_{days}"
        await migrate(MigrationOptions(url, schema=schema))
        since = day_of(_NOW_MS) - timedelta(days=days - 1)
        listings = [Listing(symbol, start_of(since), _FOREVER_MS) for symbol in _names()]
        session = SharedSession(DatabaseOptions(url, schema=schema), purpose="ledger")
        await CoverageStore(session).follow(Dataset.CANDLES, listings, _NOW_MS)
        _fill(url, schema)
        ledger = CoverageStore(session)
        started = time.perf_counter()
        await ledger.follow(Dataset.CANDLES, listings, _NOW_MS)
        return cls(session, ledger, listings, since, (time.perf_counter() - started) * 1000)

    @property
    def median_ms(self) -> float:
        return statistics.median(self.times)

    async def look(self) -> None:
        """What a pass asks of the ledger: keep up with the listings, which days are open, which minutes they lack."""
        started = time.perf_counter()
        await self.ledger.follow(Dataset.CANDLES, self.listings, _NOW_MS)
        until = day_of(_NOW_MS) - timedelta(days=1)
        days = await self.ledger.open_days(Dataset.CANDLES, self.since, until)
        gaps = await self.ledger.holes(Dataset.CANDLES, days, _NOW_MS)
        self.times.append((time.perf_counter() - started) * 1000)
        self.found = (len(days), len(gaps))


def _names() -> list[str]:
    return [f"S{number:03}USDT" for number in range(SYMBOLS)]


def _fill(url: str, schema: str) -> None:
    """Candles of the last three days, some missing; a ledger that says so, and that all days before are complete."""
    options = f"-c search_path={schema},public -c TimeZone=UTC"
    with psycopg.connect(url, options=options) as connection:
        connection.execute(
            "INSERT INTO candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume, authority, source)"
            " SELECT %s, symbol, ts, 1, 1, 1, 1, 0, 3, 't'"
            " FROM unnest(%s::text[]) WITH ORDINALITY AS listed (symbol, number),"
            " generate_series(to_timestamp(%s) - interval '2 days', to_timestamp(%s), interval '1 minute') AS ts"
            " WHERE NOT (number <= %s AND extract(minute FROM ts) IN (7, 8, 31))",
            [_EXCHANGE, _names(), start_of(day_of(_NOW_MS)) // 1000, _NOW_MS // 1000 - 60, _HOLES_IN],
        )
        connection.execute("UPDATE coverage_days SET have = expected")
        connection.execute(
            "UPDATE coverage_days AS line SET have = counted.have"
            " FROM (SELECT symbol, bucket_ts::date AS day, count(*) AS have FROM candles_1m GROUP BY 1, 2) AS counted"
            " WHERE line.symbol = counted.symbol AND line.day = counted.day AND line.have <> counted.have"
        )
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        connection.execute("VACUUM (ANALYZE) candles_1m")
        connection.execute("VACUUM (ANALYZE) coverage_days")
