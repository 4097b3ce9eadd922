"""The backfill joined to a world in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from src.collectors.backfill.campaign import Campaign, Result
from src.collectors.backfill.engine import Engine
from src.collectors.backfill.files import FileWork
from src.collectors.backfill.folder import DownloadFolder
from src.collectors.backfill.progress import Progress
from src.collectors.backfill.requests import RequestWork
from src.collectors.backfill.scope import Scope
from src.collectors.backfill.survey import Survey
from src.collectors.listings.selection import Selection
from src.model import MINUTE_MS, Listing
from src.telemetry.metrics import Metrics
from tests.support.archive_layout import PlainLayout
from tests.support.fakes import StepClock
from tests.support.history_world import MemorySink, World, start_of

TODAY = date(2026, 3, 20)
NOW_MS = start_of(TODAY) + 10 * 3_600_000

FIRST = date(2026, 3, 10)
OLD = date(2026, 3, 12)
LIVE = Listing("BTCUSDT", start_of(FIRST) + 90 * 60_000, 10**14)
GONE = Listing("GONEUSDT", start_of(FIRST), start_of(date(2026, 3, 15)) + 30 * MINUTE_MS)


@dataclass
class Parts:
    """A campaign and everything round it. ``free`` is the free share of the disk; ``memory_short``: none for files."""

    world: World
    sink: MemorySink
    folder: Path
    metrics: Metrics
    campaign: Campaign = field(init=False)
    survey: Survey = field(init=False)
    engine: Engine = field(init=False)
    free: float = 0.5
    memory_short: bool = False
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        world, metrics = self.world, self.metrics
        downloads = DownloadFolder(self.folder, free=lambda _: self.free)
        files = FileWork(
            world,
            world,
            world,
            downloads,
            world.clock,
            metrics,
            workers=2,
            memory_short=lambda: self.memory_short,
        )
        requests = RequestWork(world, self.sink, world, world.clock, metrics, concurrency=4)
        self.engine = Engine(files, requests, metrics)
        self.survey = Survey(world, world, world, PlainLayout(), world.clock)
        self.campaign = Campaign(self.survey, self.engine, metrics)

    async def fill(self, scope: Scope, *, persistent: bool = False) -> Result:
        return await self.campaign.run(scope, self.progress, persistent=persistent)

    @property
    def missing(self) -> list[tuple[str, int]]:
        """Minutes that should be there and are neither stored nor absent."""
        until = NOW_MS - 300_000
        return [
            (item.symbol, ms)
            for item in self.world.listed
            for ms in range(*item.window(0, until), 60_000)
            if (item.symbol, ms) not in self.world.stored and (item.symbol, ms) not in self.world.absent
        ]


def make_parts(folder: Path, listings: Sequence[Listing]) -> Parts:
    metrics = Metrics()
    world = World(listings, StepClock(NOW_MS / 1000), metrics)
    return Parts(world, MemorySink(world), folder, metrics)


def scope(since: date, until_ms: int = NOW_MS - 300_000, **options: object) -> Scope:
    return Scope(Selection(), start_of(since), until_ms, **options)  # type: ignore[arg-type]


def daily(day: date, symbol: str = "BTCUSDT") -> str:
    return f"data/futures/um/daily/klines/{symbol}/1m/{symbol}-1m-{day}.zip"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
