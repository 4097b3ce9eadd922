"""Each missing minute has a cause, a plan or a way to get one, and stands in exactly one entry."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from src.adapters.timescale.reports.gaps import GapsFacts
from src.cli.gaps.causes import Bounds, Findings, explain
from src.collectors.backfill.days import day_ms, day_of
from src.model import (
    DAY_MS,
    MINUTE_MS,
    ArchiveFile,
    CoverageDay,
    Dataset,
    FileState,
    Gap,
    KnownFile,
    Listing,
    Span,
)
from tests.support.archive_layout import PlainLayout

TODAY = date(2026, 11, 26)
NOW_MS = day_ms(TODAY) + 12 * 3_600_000
BOUNDS = Bounds(NOW_MS, NOW_MS // DAY_MS * DAY_MS - 30 * DAY_MS, NOW_MS - 5 * MINUTE_MS, 0)
LISTING = Listing("BTCUSDT", 0, 4 * NOW_MS)
FACTS = GapsFacts([], [], [], {"BTCUSDT": [LISTING]}, [], [], {})
LAYOUT = PlainLayout()


def line(
    ago: int, *, have: int = 0, attempts: int = 0, dirty: bool = False, next_look_ms: int = 0
) -> CoverageDay:
    day = TODAY - timedelta(days=ago)
    return CoverageDay(
        Dataset.CANDLES, "BTCUSDT", day, 1440, have, attempts=attempts, dirty=dirty, next_look_ms=next_look_ms
    )


def hole(ago: int, first: int, minutes: int) -> Gap:
    start = NOW_MS // DAY_MS * DAY_MS - ago * DAY_MS + first * MINUTE_MS
    return Gap("BTCUSDT", start, start + minutes * MINUTE_MS, "missing")


def noted(ago: int, state: FileState, detail: str = "") -> tuple[KnownFile, str]:
    day = TODAY - timedelta(days=ago)
    file = LAYOUT.file(Dataset.CANDLES, Span.DAILY, "BTCUSDT", "BTCUSDT", day)
    return KnownFile(file, state, "", NOW_MS), detail


def story(facts: GapsFacts, bounds: Bounds = BOUNDS) -> tuple[str, str | None]:
    """Cause and plan of the one entry there is."""
    [found] = explain(facts, bounds, LAYOUT).missing
    return found.why, found.planned


def test_a_hole_of_today_is_asked_over_rest() -> None:
    facts = replace(FACTS, days=[line(0, have=700)], holes=[hole(0, 10, 5)])
    assert story(facts) == ("never asked", "REST")


def test_whole_days_come_from_files() -> None:
    facts = replace(FACTS, days=[line(5, attempts=1), line(4, attempts=1)])
    found = explain(facts, BOUNDS, LAYOUT)
    assert [(item.minutes, item.why, item.planned) for item in found.missing] == [
        (2880, "asked once", "daily file")
    ]
    assert len(found.plan.files) == 2
    assert found.planned_minutes == found.minutes == 2880


def test_a_wrong_file_is_named_with_its_fault_and_rest_is_next() -> None:
    facts = replace(
        FACTS, days=[line(5, attempts=2)], files=[noted(5, FileState.QUARANTINED, "checksum: wrong for good")]
    )
    assert story(facts) == ("daily file quarantined: checksum: wrong for good, asked 2 times", "REST")


def test_a_file_that_is_not_there() -> None:
    facts = replace(FACTS, days=[line(5)], files=[noted(5, FileState.MISSING)])
    assert story(facts) == ("no daily file in the archive", "REST")


def test_what_waits_for_its_next_look_says_when() -> None:
    facts = replace(FACTS, days=[line(5, attempts=7, next_look_ms=NOW_MS + 3_600_000)])
    assert story(facts) == ("asked 7 times", "daily file, not before 2026-11-26 13:00")


def test_lost_and_deleted_rows() -> None:
    lost = Gap("BTCUSDT", hole(0, 12, 1).from_ms, hole(0, 12, 1).to_ms, "buffer_full")
    facts = replace(FACTS, days=[line(0, have=700)], holes=[hole(0, 10, 5)], losses=[lost])
    assert story(facts)[0] == "lost from the buffer (buffer_full)"
    facts = replace(FACTS, days=[line(3, have=1400, dirty=True)], holes=[hole(3, 10, 40)])
    assert story(facts) == ("rows were deleted", "REST")


def test_beyond_backfill_from_nothing_is_planned() -> None:
    first, last = TODAY - timedelta(days=300), TODAY - timedelta(days=31)
    facts = replace(FACTS, blank=[("BTCUSDT", first, last)], days=[line(30)])
    old, new = explain(facts, BOUNDS, LAYOUT).missing
    assert (old.why, old.planned, old.minutes) == ("before BACKFILL_FROM (2026-10-27)", None, 270 * 1440)
    assert "marketd backfill --from" in old.hint
    assert (day_of(new.from_ms), new.planned) == (TODAY - timedelta(days=30), "daily file")


def test_what_retention_drops_is_not_advised() -> None:
    bounds = replace(BOUNDS, kept_ms=BOUNDS.since_ms)
    facts = replace(FACTS, blank=[("BTCUSDT", TODAY - timedelta(days=90), TODAY - timedelta(days=31))])
    [item] = explain(facts, bounds, LAYOUT).missing
    assert item.why == "older than RETENTION_DAYS"
    assert "backfill" not in item.hint


def test_nothing_lies_outside_a_listing() -> None:
    listing = Listing("BTCUSDT", day_ms(TODAY) - 50 * DAY_MS + 90_000, day_ms(TODAY) - 40 * DAY_MS + 90_000)
    facts = replace(
        FACTS,
        listings={"BTCUSDT": [listing]},
        blank=[("BTCUSDT", TODAY - timedelta(days=60), TODAY - timedelta(days=31))],
    )
    [item] = explain(facts, BOUNDS, LAYOUT).missing
    assert (item.from_ms, item.to_ms) == listing.window(0, NOW_MS)


def test_nothing_missing_is_nothing_told() -> None:
    assert explain(FACTS, BOUNDS, LAYOUT) == Findings()


@pytest.mark.parametrize("span", [Span.DAILY, Span.MONTHLY])
def test_the_months_file_counts_too(span: Span) -> None:
    day = TODAY - timedelta(days=5)
    file: ArchiveFile = LAYOUT.file(Dataset.CANDLES, span, "BTCUSDT", "BTCUSDT", day)
    facts = replace(
        FACTS, days=[line(5)], files=[(KnownFile(file, FileState.QUARANTINED, "", NOW_MS), "zip")]
    )
    assert story(facts)[0] == f"{span.value} file quarantined: zip"
