"""CollectBinance against the sandbox's archive and a person's folder, through the importer's processes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from src.adapters.binance.archive.client import ArchiveOptions, BinanceArchive
from src.adapters.binance.archive.paths import SPOT_ROOT, BinanceLayout
from src.adapters.rate_limiter import Budgets
from src.adapters.timescale.importing.importer import ArchiveImports, ImporterOptions
from src.adapters.timescale.options import DatabaseOptions
from src.analysis.collect_binance import CollectParameters, kind
from src.clock import VenueClock
from src.collectors.trades.files import TradeCollection, TradeMarket, newest_file
from src.errors import BadData, NotPublished
from src.model import DAY_MS
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import fetch
from tests.support.trade_files import futures_text, sample

START_MS = 1_780_000_020_000
MIDNIGHT_MS = START_MS // DAY_MS * DAY_MS
"""2026-05-28."""


@dataclass
class Told:
    """The part of a context that the kind uses."""

    lines: list[str] = field(default_factory=list)

    async def tell(self, line: str, share: float | None = None) -> None:
        self.lines.append(line)


@dataclass
class World:
    sandbox: Sandbox
    collection: TradeCollection
    folder: Path
    downloads: Path
    told: Told = field(default_factory=Told)

    async def run(self, **parameters: Any) -> dict[str, Any]:
        made = kind(self.collection)
        return dict(await made.run(self.told, made.asked({"symbol": "BTCUSDT", **parameters})))  # type: ignore[arg-type]


@pytest.fixture
async def world(database: str, tmp_path: Path) -> AsyncIterator[World]:
    options = SandboxOptions(symbols=3, sleeper_share=0.0, start_ms=START_MS, publish_after_s=86_400)
    async with Sandbox(options) as sandbox:
        clock, metrics = VenueClock(), Metrics()
        clock.set(sandbox.now())
        given = ArchiveOptions(url=sandbox.archive_url, list_url=sandbox.archive_list_url)
        archive = BinanceArchive(given, Budgets(clock, metrics).archive, clock, metrics)
        await archive.open()
        imports = {
            name: ArchiveImports(
                DatabaseOptions(database, exchange=exchange), ImporterOptions(workers=1), metrics
            )
            for name, exchange in (("futures", "binance_futures_um"), ("spot", "binance_spot"))
        }
        markets = {
            "futures": TradeMarket(archive, BinanceLayout(), imports["futures"]),
            "spot": TradeMarket(archive, BinanceLayout(SPOT_ROOT), imports["spot"]),
        }
        folder, downloads = tmp_path / "own", tmp_path / "downloads"
        folder.mkdir()
        yield World(sandbox, TradeCollection(markets, folder, downloads, clock), folder, downloads)
        for one in imports.values():
            await one.close()
        await archive.close()


async def ids(url: str, exchange: str) -> list[int]:
    rows = await fetch(url, "SELECT trade_id FROM agg_trades WHERE exchange = %s ORDER BY 1", [exchange])
    return [row[0] for row in rows]


async def test_without_a_file_of_ones_own_the_newest_day_of_the_archive_is_taken(
    world: World, database: str
) -> None:
    """The files of yesterday are not out yet: that of the day before is the newest."""
    told = await world.run(import_percentage=10, chunk_size=1000)
    truth = world.sandbox.trades_truth("BTCUSDT", MIDNIGHT_MS - 2 * DAY_MS, MIDNIGHT_MS - DAY_MS, spot=True)
    assert told["file"] == "data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2026-05-26.zip"
    assert len(truth) * 0.09 < told["inserted"] < len(truth) * 0.11
    assert await ids(database, "binance_spot") == [one.number for one in truth[: told["inserted"]]]
    assert [path for path in world.downloads.rglob("*") if path.is_file()] == []
    assert world.told.lines == [f"importing 10 % of {told['file']}"]
    again = await world.run(label="2026-05-26")
    assert (again["inserted"], again["unchanged"]) == (len(truth) - told["inserted"], told["inserted"])
    assert await fetch(database, "SELECT path, state FROM archive_files") == [(told["file"], "imported")]


async def test_the_newest_file_of_ones_own_comes_first(world: World, database: str) -> None:
    names = (
        "BTCUSDT-aggTrades-2026-05-01.csv",
        "btcusdt_aggTrades_old.csv",
        "ETHUSDT-aggTrades-2026-05-02.csv",
    )
    for age, name in enumerate(names):
        (world.folder / name).write_bytes(futures_text([sample(number) for number in range(10 + age)]))
        os.utime(world.folder / name, (1_700_000_000 - age, 1_700_000_000 - age))
    told = await world.run(market="futures")
    assert told == {"file": str(world.folder / names[0]), "inserted": 10, "unchanged": 0}
    os.utime(world.folder / names[1])
    assert (await world.run(market="futures"))["file"] == str(world.folder / names[1])
    assert len(await ids(database, "binance_futures_um")) == 11
    assert (await world.run(market="futures", label="2026-05-01"))["unchanged"] == 10


async def test_what_is_not_there_is_said(world: World) -> None:
    with pytest.raises(NotPublished):
        await world.run(label="2026-05-27")
    with pytest.raises(NotPublished):
        await world.run(symbol="NOSUCHUSDT")
    for label in ("2026-02-30", "yesterday"):
        with pytest.raises(BadData, match=label):
            await world.run(label=label)


@pytest.mark.parametrize(
    "wrong", [{"import_percentage": 0}, {"chunk_size": 1}, {"market": "margin"}, {"sym": 1}]
)
def test_parameters_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadData, match=next(iter(wrong))):
        kind(None).asked({"symbol": "BTCUSDT", **wrong})  # type: ignore[arg-type]


def test_a_month_is_not_one_of_its_days(tmp_path: Path) -> None:
    day, month = (tmp_path / f"BTCUSDT-aggTrades-{label}.csv" for label in ("2026-05-01", "2026-05"))
    day.touch()
    assert newest_file(tmp_path, "BTCUSDT", "2026-05") is None
    assert newest_file(tmp_path, "BTCUSDT", "2026-05-01") == day
    month.touch()
    assert newest_file(tmp_path, "BTCUSDT", "2026-05") == month
    assert newest_file(tmp_path, "BTCUSDT", None) in (day, month)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert newest_file(None, "BTCUSDT", None) is None
    assert newest_file(tmp_path, "BTCUSDT", None) is None
    with pytest.raises(BadData, match="COLLECT_DIR"):
        newest_file(tmp_path / "none", "BTCUSDT", None)
    assert CollectParameters(symbol="BTCUSDT").market == "spot"
