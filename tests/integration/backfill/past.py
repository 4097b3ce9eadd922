"""A sandbox exchange with a past, a real database, and the backfill joined to both as the daemon joins it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from src.collectors.backfill.campaign import Result
from src.collectors.backfill.progress import Progress
from src.collectors.backfill.scope import UNSETTLED_MS, Scope
from src.config import Settings
from src.model import MINUTE_MS, floor_minute
from src.sandbox import Sandbox, SandboxOptions
from src.sandbox.market.candles import Kline
from src.sandbox.market.past import first_day_ms
from src.telemetry.metrics import Metrics
from src.wiring.core import Core
from src.wiring.history import History
from src.wiring.leasing import leasing
from tests.support.roles import separate_roles

Key = tuple[str, int]
Values = tuple[float | int | None, ...]


@dataclass
class Past:
    """All of it. ``fill`` fills everything since the generated market began, up to ``until_ms``."""

    sandbox: Sandbox
    core: Core
    history: History
    database_url: str
    first_ms: int
    until_ms: int
    progress: Progress = field(default_factory=Progress)

    def scope(self, **options: Any) -> Scope:
        return Scope(self.core.selection, options.pop("since_ms", self.first_ms), self.until_ms, **options)

    def day(self, number: int) -> str:
        """The number-th day since the market began, as it is written."""
        return (datetime.fromtimestamp(self.first_ms / 1000, UTC) + timedelta(days=number)).date().isoformat()

    async def fill(self, **options: Any) -> Result:
        return await self.history.campaign.run(self.scope(**options), self.progress)

    def symbols(self) -> list[str]:
        """Every symbol whose candles must be stored, those that no longer trade included."""
        return [
            one["symbol"]
            for one in self.sandbox.venue.listing()
            if one["quote"] == "USDT"
            and one["periods"]
            and one["contract_type"] in {"PERPETUAL", "TRADIFI_PERPETUAL"}
        ]

    def truth(self) -> dict[Key, Values]:
        """Every candle that must be stored, by symbol and minute."""
        return {
            (symbol, row.open_time): values_of(row)
            for symbol in self.symbols()
            for row in self.sandbox.truth(symbol, 0, self.until_ms)
        }

    async def stored(self) -> dict[Key, Values]:
        rows = await self.sql(
            "SELECT symbol, (extract(epoch FROM bucket_ts) * 1000)::bigint, open, high, low, close, volume,"
            " quote_volume, trade_count, taker_buy_volume, taker_buy_quote_volume FROM candles_1m"
        )
        return {(row[0], row[1]): tuple(row[2:]) for row in rows if row[1] < self.until_ms}

    async def unaccounted(self) -> list[tuple[Any, ...]]:
        """Lines of the candles' ledger, of days that are over, that do not add up."""
        return await self.sql(
            "SELECT symbol, day, expected, have, absent, state FROM coverage_days"
            " WHERE dataset = 'candles_1m' AND day >= (to_timestamp(%s) AT TIME ZONE 'UTC')::date"
            " AND day < (to_timestamp(%s) AT TIME ZONE 'UTC')::date AND have + absent <> expected",
            [self.first_ms // 1000, self.until_ms // 1000],
        )

    async def sql(self, statement: Any, parameters: Any = None) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(
            self.database_url, autocommit=True, options="-c search_path=market_data,public -c TimeZone=UTC"
        ) as connection:
            cursor = await connection.execute(statement, parameters)
            return await cursor.fetchall() if cursor.description else []

    def environment(self, folder: Path) -> dict[str, str]:
        """What a process of its own is started with to do the same, in the writer's role; its archive files lie below
        ``folder``."""
        own = self.core.settings
        return {
            "MARKETD_ENV_FILE": os.devnull,
            "MARKETD_CONFIG_FILE": os.devnull,
            **separate_roles(self.database_url),
            "BINANCE_REST_URL": own.binance_rest_url,
            "BINANCE_WS_URL": own.binance_ws_url,
            "BINANCE_ARCHIVE_URL": own.binance_archive_url,
            "BINANCE_ARCHIVE_LIST_URL": own.binance_archive_list_url,
            "BINANCE_ALPHA_URL": own.binance_alpha_url,
            "ARCHIVE_FOLDER": str(folder / "archive"),
            "LOG_FORMAT": "json",
        }

    def requests(self) -> dict[str, int]:
        """What the exchange was asked for, by path and status."""
        return dict(self.sandbox.venue.stats.requests)

    def weight(self) -> int:
        return sum(self.sandbox.venue.stats.weight.values())


def values_of(row: Kline) -> Values:
    numbers = (row.open, row.high, row.low, row.close, row.volume, row.quote_volume)
    taker = (row.taker_buy_volume, row.taker_buy_quote_volume)
    return (*map(float, numbers), row.trade_count, *map(float, taker))


@asynccontextmanager
async def open_past(database_url: str, folder: Path, **options: Any) -> AsyncIterator[Past]:
    """Nine days, six symbols, one delisted and one relisted inside; the venue's contracts are recorded."""
    given = {"symbols": 6, "delisted": 1, "relisted": 1, "history_days": 9, "sleeper_share": 0.0} | options
    # This computer's time: several processes share one book of budgets, and begin before they know the venue's.
    start_ms = given.setdefault("start_ms", int(time.time() * 1000))
    async with Sandbox(SandboxOptions(**given)) as sandbox:
        settings = settings_for(sandbox, database_url, folder)
        core = Core(settings, Metrics(), run_id="past")
        history = History(core, recent_ms=UNSETTLED_MS)
        try:
            async with leasing(core.budgets):
                await core.rest.open()
                await history.archive.open()
                core.clock.set(await core.rest.server_time())
                await history.learn()
                until_ms = floor_minute(core.clock.now_ms() - UNSETTLED_MS) - MINUTE_MS
                first_ms = first_day_ms(start_ms, given["history_days"])
                yield Past(sandbox, core, history, database_url, first_ms, until_ms)
        finally:
            for closer in (*history.closers(), *core.closers()):
                await closer.close()


def settings_for(sandbox: Sandbox, database_url: str, folder: Path) -> Settings:
    return Settings(
        database_url=database_url,
        binance_rest_url=sandbox.rest_url,
        binance_ws_url=sandbox.ws_url,
        binance_archive_url=sandbox.archive_url,
        binance_archive_list_url=sandbox.archive_list_url,
        binance_alpha_url=sandbox.alpha_url,
        archive_folder=str(folder),
        backfill_from="listing",
        rate_limit_per_minute=2400,
    )
