"""How often the archive is asked for a month of funding that is not there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, cast

from src.adapters.binance.archive.paths import BinanceLayout
from src.collectors.metrics.funding import FundingCollector, FundingFiles, months
from src.errors import NotPublished
from src.model import DAY_MS, ArchiveFile
from src.telemetry.metrics import Metrics
from tests.support.fakes import StepClock


class _Nothing:
    """An archive without a file, a sink without a month, and a universe of two symbols."""

    symbols = ("BTCUSDT", "ETHUSDT")

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    async def fetch(self, file: ArchiveFile, folder: Path) -> tuple[Path, str]:
        self.asked[f"{file.symbol} {file.first_day:%Y-%m}"] += 1
        raise NotPublished(f"{file.path}: 404", reason="not_published")

    async def imported(self) -> set[str]:
        return set()


async def test_a_month_that_was_never_published_is_not_asked_for_every_day(tmp_path: Path) -> None:
    clock, nothing = StepClock(), _Nothing()
    since_ms = clock.now_ms() - 400 * DAY_MS
    stand_in = cast(Any, nothing)
    collector = FundingCollector(
        stand_in,
        stand_in,
        stand_in,
        clock,
        Metrics(),
        since=lambda now_ms: since_ms,
        files=FundingFiles(stand_in, BinanceLayout(), stand_in, tmp_path),
    )
    wanted = months(since_ms, clock.now_ms())
    await collector.fill_months()
    assert nothing.asked == {f"{symbol} {month:%Y-%m}": 1 for symbol in nothing.symbols for month in wanted}
    clock.advance(86_401)
    await collector.fill_months()
    newest, oldest = wanted[0], wanted[-1]
    assert nothing.asked[f"BTCUSDT {newest:%Y-%m}"] == 2
    assert nothing.asked[f"BTCUSDT {oldest:%Y-%m}"] == 1
    clock.advance(30 * 86_400)
    await collector.fill_months()
    assert nothing.asked[f"ETHUSDT {oldest:%Y-%m}"] == 2
