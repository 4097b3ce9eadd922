"""``sweep``: futures metrics of 740 symbols within the venue's 1000 requests in 5 min, at speed 20 against the sandbox.

Sandbox, REST client, sweep and store share one process, TimescaleDB with fsync on is another. The first round, which
fetches all that REST still has, is let through before. Measured are the rows of the half hour after it: each is late by
the venue time from the end of its period to the return of the transaction that made it whole, and in the end each is
compared with the sandbox's truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import psycopg
import uvloop

from benchmarks.database import private_database, settings_of
from src.adapters.binance.rest.client import RestOptions
from src.adapters.binance.rest.metrics import MetricsRest
from src.adapters.rate_limiter import Budgets
from src.adapters.timescale.metrics.store import MetricStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.adapters.timescale.sessions.shared import SharedSession
from src.clock import VenueClock
from src.collectors.metrics.sweep import MetricsSweep
from src.model import FIVE_MINUTES_MS, METRIC_COLUMNS, FuturesMetric, WriteResult
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox
from src.telemetry.metrics import Metrics

SYMBOLS = 740
SPEED = 20.0
PERIODS = 6
LATE_MIN = 25

Key = tuple[str, int]


def run() -> dict[str, object]:
    """{symbols, rows, complete_share, http_429, minutes, ...}; takes about five minutes."""
    with private_database("sweep") as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return {**runner.run(_sweep(url)), **settings_of(url)}


class _Timed(MetricStore):
    """Notes when the last column of a row was committed, in venue time."""

    def __init__(self, session: SharedSession, clock: VenueClock) -> None:
        super().__init__(session)
        self._clock = clock
        self._known: dict[Key, set[str]] = {}
        self.whole_ms: dict[Key, int] = {}

    async def write(self, rows: Sequence[FuturesMetric]) -> WriteResult:
        result = await super().write(rows)
        now_ms = self._clock.now_ms()
        for row in rows:
            known = self._known.setdefault((row.symbol, row.end_ms), set())
            known |= {
                name for name, value in zip(METRIC_COLUMNS, row.values, strict=True) if value is not None
            }
            if len(known) == len(METRIC_COLUMNS):
                self.whole_ms.setdefault((row.symbol, row.end_ms), now_ms)
        return result


class _Listed:
    """All symbols of the sandbox that trade."""

    def __init__(self, sandbox: Sandbox) -> None:
        instruments = sandbox.venue.universe.instruments.values()
        now_ms = sandbox.now_ms()
        self.symbols = [
            item.symbol
            for item in instruments
            if sandbox.metrics_truth(item.symbol, now_ms - 3_600_000, now_ms) and not item.gone
        ][:SYMBOLS]


async def _sweep(url: str) -> dict[str, object]:
    await migrate(MigrationOptions(url))
    metrics = Metrics()
    async with Sandbox(SandboxOptions(symbols=SYMBOLS, speed=SPEED)) as sandbox:
        clock = VenueClock(speed=SPEED)
        clock.set(sandbox.now())
        budgets = Budgets(clock, metrics)
        rest = MetricsRest(
            RestOptions(base_url=sandbox.rest_url), budgets.futures_data, budgets.funding, clock, metrics
        )
        session = SharedSession(DatabaseOptions(url), purpose="metrics", metrics=metrics)
        store, listed = _Timed(session, clock), _Listed(sandbox)
        await rest.open()
        sweep = MetricsSweep(rest, store, listed, clock, metrics)
        try:
            await sweep.load()
            await sweep.sweep()
            since_ms = clock.now_ms() // FIVE_MINUTES_MS * FIVE_MINUTES_MS
            until_ms = since_ms + PERIODS * FIVE_MINUTES_MS
            await _run_until(sweep, clock, until_ms / 1000 + LATE_MIN * 60 + 90)
        finally:
            await rest.close()
            await session.close()
        expected = _expected(sandbox, listed.symbols, since_ms, until_ms)
        return _figures(expected, _stored(url, since_ms, until_ms), store.whole_ms, metrics)


async def _run_until(sweep: MetricsSweep, clock: VenueClock, end: float) -> None:
    """Let it go round until venue time ``end``; raises what ended it before."""
    running = asyncio.create_task(sweep.run(), name="metrics sweep")
    try:
        await asyncio.wait({running}, timeout=clock.wall(end - clock.now()))
        if running.done():
            running.result()
            raise RuntimeError("the sweep ended by itself")
    finally:
        running.cancel()
        await asyncio.wait({running})


def _expected(
    sandbox: Sandbox, symbols: Sequence[str], since_ms: int, until_ms: int
) -> dict[Key, tuple[Decimal, ...]]:
    """What the sandbox says that the table must have."""
    return {
        (symbol, one.end_ms): tuple(
            Decimal(text)
            for text in (
                one.open_interest,
                one.open_interest_value,
                one.top_accounts,
                one.top_positions,
                one.accounts,
                one.taker,
            )
        )
        for symbol in symbols
        for one in sandbox.metrics_truth(symbol, since_ms, until_ms)
    }


def _stored(url: str, since_ms: int, until_ms: int) -> dict[Key, tuple[Decimal | None, ...]]:
    statement = (
        "SELECT symbol, (extract(epoch FROM create_time) * 1000)::bigint, sum_open_interest, sum_open_interest_value,"
        " count_toptrader_long_short_ratio, sum_toptrader_long_short_ratio, count_long_short_ratio,"
        " sum_taker_long_short_vol_ratio FROM market_data.binance_futures_metrics_5m"
        " WHERE create_time > to_timestamp(%s) AND create_time <= to_timestamp(%s)"
    )
    with psycopg.connect(url) as connection:
        rows = connection.execute(statement, [since_ms / 1000, until_ms / 1000]).fetchall()
    return {(symbol, end_ms): tuple(values) for symbol, end_ms, *values in rows}


def _figures(
    expected: dict[Key, tuple[Decimal, ...]],
    stored: dict[Key, tuple[Decimal | None, ...]],
    whole_ms: dict[Key, int],
    metrics: Metrics,
) -> dict[str, object]:
    whole = [key for key, values in expected.items() if stored.get(key) == values and key in whole_ms]
    late = sorted((whole_ms[key] - key[1]) / 60_000 for key in whole)
    if not late:
        raise RuntimeError("not one row is whole")
    requests = [
        sample
        for family in metrics.rest_requests.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    ]
    return {
        "symbols": len({symbol for symbol, _ in expected}),
        "speed": SPEED,
        "rows": len(expected),
        "complete_share": len(whole) / len(expected),
        "http_429": int(sum(one.value for one in requests if one.labels["code"] == "429")),
        "minutes": round(late[-1], 2),
        "p50_minutes": round(late[len(late) // 2], 2),
        "requests": int(sum(one.value for one in requests)),
        "rows_repeated": int(metrics.registry.get_sample_value("marketd_metric_rows_repeated_total") or 0),
    }
