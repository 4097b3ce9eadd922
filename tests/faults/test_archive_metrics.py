"""D10: blank cells, doubled rows and rows in no order in the archive's days of futures metrics."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from src.model import METRIC_COLUMNS, MINUTE_MS
from tests.faults.filling import day_before, finish, open_past, query, served, undisturbed
from tests.integration.metrics.sandbox_world import Rows, rows_of, stored
from tests.support.eventually import eventually
from tests.support.world import World

pytestmark = pytest.mark.fault

_START_MS = 1_780_017_000_000
"""2026-05-29 01:10 UTC. REST is asked for the last 500 rows, 41 h 40 min: what is older comes from files only."""
_HISTORY = 4000
"""Minutes: since 06:30 of the 26th, which is a file's alone, while REST has two thirds of the 27th too."""
_ROWS_REST_HAS_MS = 12 * 60 * MINUTE_MS
"""From that time of the 27th on, give or take hours, REST has rows."""
_FAULTS = (
    (("blank", 0.5),),
    (("blank", 1.0),),
    (("duplicates", 0.5), ("unsorted", 1.0), ("blank", 0.5)),
)
"""Modes and shares of the files of one symbol each. Where a row comes twice, a cell may be blank in one of the two."""

_Cell = tuple[str, int, int]
"""(symbol, end of the period in UTC milliseconds, number of the column)."""


async def test_d10_blank_cells_of_metrics(tmp_path: Path, database: str) -> None:
    """NULL and never 0, and only where nobody has the value: neither REST nor another row of the same period."""
    async with open_past(
        tmp_path,
        database,
        symbols=5,
        history=_HISTORY,
        speed=6.0,
        start_ms=_START_MS,
        arguments=("--ws", "--backfill", "--metrics"),
        BACKFILL_FROM="10d",
    ) as world:
        days = [day_before(world, 3), day_before(world, 2)]
        spoiled = dict(zip(world.venue.symbols, _FAULTS, strict=False))
        for symbol, faults in spoiled.items():
            for mode, share in faults:
                await world.venue.control("archive", mode=mode, path=f"*/metrics/{symbol}/*", share=share)
        blank = {cell for symbol in spoiled for day in days for cell in await _blank(world, symbol, day)}
        await world.begin()
        async with undisturbed(world, minutes=1):
            await eventually(lambda: _complete(world, days), timeout=60)
        truth: Rows = {}
        until_ms = _start_ms(days[-1] + timedelta(days=1))
        for symbol in world.venue.symbols:
            truth |= rows_of(symbol, world.venue.metrics(symbol, 0, until_ms))
        found = {key: values for key, values in (await stored(database)).items() if key in truth}
        assert found.keys() == truth.keys()
        null = {(*key, at) for key, values in found.items() for at, one in enumerate(values) if one is None}
        wrong = [
            (key, at)
            for key, values in found.items()
            for at, one in enumerate(values)
            if one is not None and Decimal(one) != truth[key][at]
        ]
        assert wrong == []
        assert null <= blank
        only_file_ms = _start_ms(days[-1])
        assert {cell for cell in null if cell[1] <= only_file_ms} == {
            cell for cell in blank if cell[1] <= only_file_ms
        }
        assert len([cell for cell in null if cell[1] <= only_file_ms]) > 200
        rest_ms = only_file_ms + _ROWS_REST_HAS_MS
        assert len([cell for cell in blank if cell[1] > rest_ms]) > 100
        assert [cell for cell in null if cell[1] > rest_ms] == []
        seen = await world.daemon.metrics()
        assert seen.total("metric_archive_disagrees") == 0
        assert seen.total("metric_rows_rejected_total", reason="duplicate") > 100
        await finish(world)


async def _complete(world: World, days: list[date]) -> bool:
    """Every day of metrics has all its rows, each from a file that was read."""
    lines = await query(
        world,
        "SELECT c.state, f.state FROM coverage_days AS c"
        " LEFT JOIN archive_files AS f ON f.dataset = c.dataset AND f.symbol = c.symbol AND f.first_day = c.day"
        " WHERE c.dataset = 'metrics_5m' AND c.day = ANY(%s) AND c.symbol = ANY(%s)",
        days,
        world.venue.symbols,
    )
    return lines == [("complete", "imported")] * len(days) * len(world.venue.symbols)


async def _blank(world: World, symbol: str, day: date) -> set[_Cell]:
    """The cells of a day's file that are blank in every row of their period."""
    some: set[_Cell] = set()
    filled: set[_Cell] = set()
    for row in csv.DictReader(await served(world, f"daily/metrics/{symbol}/{symbol}-metrics-{day}.zip")):
        end = datetime.fromisoformat(row["create_time"]).replace(tzinfo=UTC)
        for at, name in enumerate(METRIC_COLUMNS):
            (filled if row[name] else some).add((symbol, int(end.timestamp()) * 1000, at))
    return some - filled


def _start_ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400_000
