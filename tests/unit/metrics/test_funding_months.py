"""How often the archive is asked for a month of funding that is not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from src.adapters.binance.archive.paths import BinanceLayout
from src.collectors.metrics.funding import FundingCollector, FundingFiles, months
from src.errors import NotPublished
from src.model import DAY_MS, ArchiveFile, Listing
from src.telemetry.metrics import Metrics
from tests.support.fakes import StepClock


class _Nothing:
    """An archive without a file, a sink without a month, and a universe of two symbols."""

    symbols = ("BTCUSDT", "ETHUSDT")

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.names: set[str] = set()

    async def fetch(self, file: ArchiveFile, folder: Path) -> tuple[Path, str]:
        self.asked[f"{file.symbol} {file.first_day:%Y-%m}"] += 1
        self.names.add(file.path.rpartition("/")[2])
        raise NotPublished(f"{file.path}: 404", reason="not_published")

    async def imported(self) -> set[str]:
        return set()


def _collector(
    nothing: _Nothing,
    clock: StepClock,
    since_ms: int,
    folder: Path,
    contracts: Callable[[], Awaitable[list[tuple[Listing, str]]]] | None = None,
) -> FundingCollector:
    stand_in = cast(Any, nothing)
    return FundingCollector(
        stand_in,
        stand_in,
        stand_in,
        clock,
        Metrics(),
        since=lambda now_ms: since_ms,
        files=FundingFiles(stand_in, BinanceLayout(), stand_in, folder, contracts),
    )


async def test_a_month_that_was_never_published_is_not_asked_for_every_day(tmp_path: Path) -> None:
    clock, nothing = StepClock(), _Nothing()
    since_ms = clock.now_ms() - 400 * DAY_MS
    collector = _collector(nothing, clock, since_ms, tmp_path)
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


async def test_months_before_the_first_listing_are_not_asked_for(tmp_path: Path) -> None:
    clock, nothing = StepClock(), _Nothing()
    since_ms = clock.now_ms() - 400 * DAY_MS
    wanted = months(since_ms, clock.now_ms())
    begun = wanted[2]
    begun_ms = int(datetime(begun.year, begun.month, 20, tzinfo=UTC).timestamp()) * 1000

    async def contracts() -> list[tuple[Listing, str]]:
        again = Listing("BTCUSDT", begun_ms + 20 * DAY_MS, 4_000_000_000_000)
        return [(again, "BTCUSDT"), (Listing("BTCUSDT", begun_ms, begun_ms + DAY_MS), "BTCUSDT")]

    collector = _collector(nothing, clock, since_ms, tmp_path, contracts)
    await collector.fill_months()
    asked = {month for month in wanted if nothing.asked[f"BTCUSDT {month:%Y-%m}"]}
    assert asked == set(wanted[:3])
    assert all(nothing.asked[f"ETHUSDT {month:%Y-%m}"] for month in wanted), "nothing is known of its listing"


async def test_months_of_contracts_that_have_ended_are_asked_for_while_they_traded(tmp_path: Path) -> None:
    clock, nothing = StepClock(), _Nothing()
    since_ms = clock.now_ms() - 400 * DAY_MS
    wanted = months(since_ms, clock.now_ms())
    oldest = wanted[-1]
    first_ms = int(datetime(oldest.year, oldest.month, oldest.day, tzinfo=UTC).timestamp()) * 1000
    ended = [
        (Listing("LUNAUSDT", first_ms - DAY_MS, first_ms + DAY_MS), "LUNAUSDT"),
        (Listing("ETHUSDT", first_ms - DAY_MS, first_ms + DAY_MS), "ETHUSDTSETTLED"),
        (Listing("BTCUSDT", first_ms - DAY_MS, 4_000_000_000_000), "BTCUSDT"),
        (Listing("GONEUSDT", first_ms - 9 * DAY_MS, first_ms), "GONEUSDT"),
    ]

    async def contracts() -> list[tuple[Listing, str]]:
        return ended

    collector = _collector(nothing, clock, since_ms, tmp_path, contracts)
    await collector.fill_months()
    living = {f"{symbol}-fundingRate-{month:%Y-%m}.zip" for symbol in nothing.symbols for month in wanted}
    assert nothing.names - living == {
        f"LUNAUSDT-fundingRate-{oldest:%Y-%m}.zip",
        f"ETHUSDTSETTLED-fundingRate-{oldest:%Y-%m}.zip",
    }
    assert living <= nothing.names
