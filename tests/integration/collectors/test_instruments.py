"""The keeper over the real tables: what the venue and the archive list becomes intervals and what is due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from src.adapters.timescale.instruments import NEVER_MS, InstrumentStore
from src.adapters.timescale.ledger.days import day_of, start_of
from src.adapters.timescale.ledger.ledger import CoverageStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.collectors.listings.archive import ArchiveListings
from src.collectors.listings.instruments import InstrumentKeeper
from src.collectors.listings.selection import Selection
from src.collectors.listings.universe import Universe
from src.errors import NotPublished, Unavailable
from src.model import DAY_MS, MINUTE_MS, ArchiveFile, ContractStatus, Dataset, Instrument, Listing, Span
from src.ports import Priority
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import fetch
from tests.support.eventually import eventually
from tests.support.fakes import EPOCH_MS, FakeHistory, StepClock, count, make_instrument

TODAY = day_of(EPOCH_MS)
ONBOARD_MS = start_of(TODAY) - 2 * DAY_MS


class Listed:
    """``ports.Archive`` of which only the listing is asked: days by folder; a folder in ``broken`` cannot be read."""

    def __init__(self, **days: list[date]) -> None:
        self.days = days
        self.broken: set[str] = set()
        self.asked: list[str] = []

    async def symbols(self, dataset: Dataset, span: Span) -> list[str]:
        if "" in self.broken:
            raise Unavailable("archive: away")
        return sorted(self.days)

    async def files(
        self, dataset: Dataset, span: Span, folder_symbol: str, *, priority: Priority = Priority.HISTORY
    ) -> list[tuple[ArchiveFile, int]]:
        self.asked.append(folder_symbol)
        if folder_symbol in self.broken:
            raise NotPublished("archive: 404")
        return [
            (ArchiveFile(f"{folder_symbol}/{day}.zip", dataset, folder_symbol, span, day), 0)
            for day in self.days[folder_symbol]
        ]

    async def fetch(
        self, file: ArchiveFile, folder: Path, *, priority: Priority = Priority.HISTORY
    ) -> tuple[Path, str]:
        raise NotImplementedError


class Bench:
    def __init__(
        self, url: str, session: SharedSession, metrics: Metrics, *, selection: Selection, archive: Listed
    ) -> None:
        self.url, self.archive = url, archive
        self.clock, self.metrics = StepClock(), metrics
        self.universe = Universe(FakeHistory(self.clock, []), self.clock, self.metrics, selection)
        self.store = InstrumentStore(session)
        self.changes = 0
        self.keeper = InstrumentKeeper(
            self.universe,
            selection,
            self.store,
            CoverageStore(session),
            self.clock,
            self.metrics,
            archive=ArchiveListings(archive, self.store, selection),
            on_change=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1

    async def look(self, *instruments: Instrument) -> list[Listing]:
        """The venue says this; the intervals afterwards."""
        self.universe.adopt(instruments, self.clock.now_ms())
        await self.keeper.look()
        return await self.store.listings()

    async def due(self) -> dict[str, list[int]]:
        rows = await fetch(
            self.url,
            "SELECT symbol, array_agg(expected ORDER BY day) FROM coverage_days WHERE expected > 0 GROUP BY symbol",
        )
        return dict(rows)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def session(database: str, metrics: Metrics) -> AsyncIterator[SharedSession]:
    session = SharedSession(DatabaseOptions(database), purpose="ledger", metrics=metrics)
    yield session
    await session.close()


@pytest.fixture
def bench(database: str, session: SharedSession, metrics: Metrics) -> Bench:
    return Bench(database, session, metrics, selection=Selection(exclude=("X*",)), archive=Listed())


async def test_only_what_we_follow_is_recorded_and_due(bench: Bench) -> None:
    found = await bench.look(
        make_instrument("AUSDT", onboard_ms=ONBOARD_MS),
        make_instrument("XUSDT", onboard_ms=ONBOARD_MS),
        make_instrument("AUSDC", onboard_ms=ONBOARD_MS, quote="USDC"),
        make_instrument("AUSDT_270326", onboard_ms=ONBOARD_MS, contract_type="CURRENT_QUARTER"),
    )
    assert found == [Listing("AUSDT", ONBOARD_MS, NEVER_MS)]
    assert await bench.due() == {"AUSDT": [1440, 1440, 1440]}
    assert bench.keeper.ready.is_set()
    assert count(bench.metrics, "listings_known") == 1


async def test_a_halt_a_delisting_and_a_relisting(bench: Bench) -> None:
    living = make_instrument("BUSDT", onboard_ms=ONBOARD_MS)
    await bench.look(living, make_instrument("AUSDT", onboard_ms=ONBOARD_MS))
    halted = make_instrument("AUSDT", onboard_ms=ONBOARD_MS, status=ContractStatus.SETTLING)
    assert (await bench.look(living, halted))[0] == Listing("AUSDT", ONBOARD_MS, NEVER_MS)
    end_ms = ONBOARD_MS + DAY_MS + 61_000
    delivered = make_instrument(
        "AUSDT", onboard_ms=ONBOARD_MS, status=ContractStatus.SETTLING, delivery_ms=end_ms
    )
    assert (await bench.look(living, delivered))[0] == Listing("AUSDT", ONBOARD_MS, end_ms + 59_000)
    assert (await bench.due())["AUSDT"] == [1440, 2]
    again = ONBOARD_MS + 2 * DAY_MS + 60 * MINUTE_MS
    found = await bench.look(living, make_instrument("AUSDT", onboard_ms=again))
    assert found[:2] == [Listing("AUSDT", ONBOARD_MS, end_ms + 59_000), Listing("AUSDT", again, NEVER_MS)]
    assert (await bench.due())["AUSDT"] == [1440, 2, 1380]
    assert bench.changes == 3


async def test_nothing_new_sends_nothing_and_a_new_day_is_due(bench: Bench) -> None:
    await bench.look(make_instrument("AUSDT", onboard_ms=ONBOARD_MS))
    await fetch(bench.url, "ALTER TABLE coverage_days RENAME TO away")
    bench.clock.advance(60)
    await bench.keeper.look()
    await fetch(bench.url, "ALTER TABLE away RENAME TO coverage_days")
    bench.clock.advance(86_400)
    await bench.keeper.look()
    assert await bench.due() == {"AUSDT": [1440] * 4}
    assert bench.changes == 1


async def test_the_archive_tells_of_the_delisted_and_of_earlier_intervals(
    database: str, session: SharedSession, metrics: Metrics
) -> None:
    def days(first: int, last: int) -> list[date]:
        return [TODAY - timedelta(days=number) for number in range(first, last - 1, -1)]

    archive = Listed(
        AUSDT=days(2, 1),
        AUSDTSETTLED=days(9, 2),
        OLDUSDT=days(20, 18),
        XUSDT=days(9, 1),
        AUSDT_270326=days(9, 1),
    )
    archive.broken = {"OLDUSDT"}
    bench = Bench(database, session, metrics, selection=Selection(exclude=("X*",)), archive=archive)
    onboard = ONBOARD_MS + 120 * MINUTE_MS
    living = make_instrument("AUSDT", onboard_ms=onboard)
    early = Listing("AUSDT", start_of(TODAY - timedelta(days=9)), onboard)
    assert await bench.look(living) == [early, Listing("AUSDT", onboard, NEVER_MS)]
    assert sorted(archive.asked) == ["AUSDTSETTLED", "OLDUSDT"]
    archive.broken.clear()
    bench.clock.advance(3600)
    assert (await bench.look(living))[2] == Listing(
        "OLDUSDT", start_of(TODAY - timedelta(days=20)), start_of(TODAY - timedelta(days=17))
    )
    assert (await bench.due())["OLDUSDT"] == [1440] * 3
    # Now that every folder is known, none is read again.
    archive.asked.clear()
    bench.clock.advance(86_400)
    await bench.look(living)
    assert archive.asked == []


async def test_two_folders_of_one_interval_are_one(bench: Bench) -> None:
    bench.archive.days = {name: [TODAY - timedelta(days=9)] for name in ("OLDUSDT", "OLDUSDTSETTLED")}
    found = await bench.look(make_instrument("AUSDT", onboard_ms=ONBOARD_MS))
    first_ms = start_of(TODAY - timedelta(days=9))
    assert found[1:] == [Listing("OLDUSDT", first_ms, first_ms + DAY_MS)]


async def test_an_archive_that_is_away_costs_only_the_delisted(bench: Bench) -> None:
    bench.archive.broken = {""}
    assert len(await bench.look(make_instrument("AUSDT", onboard_ms=ONBOARD_MS))) == 1
    assert bench.keeper.ready.is_set()


async def test_the_end_of_who_vanished_is_where_its_files_end(bench: Bench) -> None:
    living = make_instrument("BUSDT", onboard_ms=ONBOARD_MS)
    await bench.look(living, make_instrument("AUSDT", onboard_ms=ONBOARD_MS))
    assert (await bench.look(living))[0] == Listing("AUSDT", ONBOARD_MS, EPOCH_MS)
    bench.archive.days = {"AUSDT": [TODAY - timedelta(days=2), TODAY - timedelta(days=1)], "BUSDT": []}
    bench.clock.advance(3 * 86_400)
    assert (await bench.look(living))[0] == Listing("AUSDT", ONBOARD_MS, start_of(TODAY))
    assert await bench.store.gone() == []


async def test_the_database_being_away_is_waited_for(bench: Bench) -> None:
    bench.universe.adopt([make_instrument("AUSDT", onboard_ms=ONBOARD_MS)], bench.clock.now_ms())
    await fetch(bench.url, "ALTER TABLE instruments RENAME TO away")
    keeping = asyncio.create_task(bench.keeper.run(), name="keeper")
    await eventually(lambda: count(bench.metrics, "database_errors_total", sqlstate_class="42") > 0)
    await fetch(bench.url, "ALTER TABLE away RENAME TO instruments")
    await asyncio.wait_for(bench.keeper.ready.wait(), 60)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert await bench.due() == {"AUSDT": [1440] * 3}
