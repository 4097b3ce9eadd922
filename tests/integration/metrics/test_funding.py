"""Funding on the real database: what is due is asked for, months come from the archive, intervals are true."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.adapters.binance.archive.client import ArchiveOptions, BinanceArchive
from src.adapters.binance.archive.paths import BinanceLayout, member_name
from src.adapters.binance.archive.small_files import SmallFileReader
from src.adapters.rate_limiter import RateLimiter
from src.adapters.timescale.metrics.funding import FundingStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.collectors.metrics.funding import HOUR_MS, FundingCollector, FundingFiles, due_symbols, months
from src.model import DAY_MS, Dataset, Span
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import fetch
from tests.support.archive_server import archive_server
from tests.support.zips import zipped

from .world import left_in, world


def settlements(symbol: str, first_ms: int, hours: int, count: int) -> list[dict[str, Any]]:
    return [
        {
            "symbol": symbol,
            "fundingTime": first_ms + number * hours * HOUR_MS + number % 9,
            "fundingRate": f"{(number - 5) / 10**5:.8f}",
            "markPrice": "" if number == 0 else f"{100 + number}.5",
        }
        for number in range(count)
    ]


async def stored(url: str) -> dict[tuple[str, int], tuple[Any, ...]]:
    rows = await fetch(
        url,
        "SELECT symbol, (extract(epoch FROM funding_time) * 1000)::bigint, funding_rate, mark_price,"
        " interval_hours::int FROM funding_rates",
    )
    return {(symbol, ms): tuple(rest) for symbol, ms, *rest in rows}


async def test_all_settlements_since_the_bound_with_their_true_intervals(database: str) -> None:
    async with world(database, ["BTCUSDT", "FASTUSDT"]) as it:
        now_ms = it.clock.now_ms()
        start_ms = (now_ms // DAY_MS - 10) * DAY_MS
        it.venue.settlements = settlements("BTCUSDT", start_ms, 8, 30) + settlements(
            "FASTUSDT", start_ms, 4, 60
        )
        store = FundingStore(SharedSession(DatabaseOptions(database), purpose="funding"))
        try:
            collector = FundingCollector(
                it.rest, store, it.listed, it.clock, it.metrics, since=lambda _: start_ms - DAY_MS
            )
            await collector.look()
            found = await stored(database)
            assert len(found) == 90
            assert found["BTCUSDT", start_ms] == (Decimal("-0.00005"), None, None)
            assert found["BTCUSDT", start_ms + 8 * HOUR_MS] == (Decimal("-0.00004"), Decimal("101.5"), 8)
            assert found["FASTUSDT", start_ms + 4 * HOUR_MS][2] == 4
            assert it.count("funding_rows_total", source="binance_rest", result="inserted") == 90

            again = FundingCollector(it.rest, store, it.listed, it.clock, Metrics(), since=lambda _: start_ms)
            await again.look()
            assert await stored(database) == found
        finally:
            await store.close()


async def test_months_come_from_the_archive_once(database: str, tmp_path: Path) -> None:
    async with world(database, ["BTCUSDT"]) as it, archive_server() as server:
        now = datetime.fromtimestamp(it.clock.now_ms() / 1000, UTC)
        (month,) = months(it.clock.now_ms() - now.day * DAY_MS, it.clock.now_ms())
        first_ms = int(datetime(month.year, month.month, month.day, tzinfo=UTC).timestamp()) * 1000
        file = BinanceLayout().file(Dataset.FUNDING, Span.MONTHLY, "BTCUSDT", "BTCUSDT", month)
        text = "calc_time,funding_interval_hours,last_funding_rate\n" + "".join(
            f"{first_ms + number * 8 * HOUR_MS},8,0.0001\n" for number in range(60)
        )
        server.put(file.path, zipped({member_name(file): text.encode()}))
        archive = BinanceArchive(
            ArchiveOptions(url=f"{server.url}/archive", list_url=f"{server.url}/list"),
            RateLimiter(it.clock, Metrics(), limit=1000),
            it.clock,
            Metrics(),
        )
        store = FundingStore(SharedSession(DatabaseOptions(database), purpose="funding"))
        await archive.open()
        try:
            collector = FundingCollector(
                it.rest,
                store,
                it.listed,
                it.clock,
                it.metrics,
                since=lambda now_ms: now_ms - now.day * DAY_MS,
                files=FundingFiles(archive, BinanceLayout(), SmallFileReader(), tmp_path),
            )
            await collector.fill_months()
            found = await stored(database)
            assert len(found) == 60
            assert set(found.values()) == {(Decimal("0.0001"), None, 8)}
            asked = len(server.asked)
            await collector.fill_months()
            assert len(server.asked) == asked
            assert left_in(tmp_path) == []
            for statement in ("DELETE FROM funding_rates WHERE symbol = 'BTCUSDT'", "TRUNCATE funding_rates"):
                await fetch(database, statement)
                await collector.fill_months()
                assert await stored(database) == found, "what was deleted by hand comes back"
        finally:
            await archive.close()
            await store.close()


@pytest.mark.parametrize(
    ("hours", "age", "due"), [(8, 7.9, False), (8, 8.1, True), (1, 0.9, False), (1, 1.1, True)]
)
def test_a_symbol_is_due_when_its_own_interval_is_over(hours: int, age: float, due: bool) -> None:
    now_ms = 1_800_000_000_000
    newest = {"A": now_ms - round(age * HOUR_MS)}
    assert due_symbols(["A", "NEW"], newest, {"A": hours}, now_ms) == (["NEW", "A"] if due else ["NEW"])


def test_months_that_are_over_the_newest_first() -> None:
    march = int(datetime(2026, 3, 15, tzinfo=UTC).timestamp()) * 1000
    assert [f"{month:%Y-%m}" for month in months(march - 80 * DAY_MS, march)] == [
        "2026-02",
        "2026-01",
        "2025-12",
    ]
    assert months(march - 10 * DAY_MS, march) == []
