"""Which files of trades are fetched: pure."""

from __future__ import annotations

from datetime import date

import pytest

from src.collectors.trades.history import Coverage, _settled, due_files
from src.model import DAY_MS, ArchiveFile, Dataset, FileState, KnownFile, Span, TradeGap, TradeReach

NOTHING = Coverage(None, ())
TODAY = date(2026, 3, 20)


def ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS


def reach(first: date, last: date) -> TradeReach:
    return TradeReach("BTCUSDT", 1, 1_000_000, ms(first), ms(last))


def test_months_that_are_over_are_one_file_and_the_rest_are_days() -> None:
    found = due_files(NOTHING, date(2025, 12, 30), TODAY)
    assert found[:19] == [(Span.DAILY, date(2026, 3, day)) for day in range(19, 0, -1)]
    assert found[19:] == [
        (Span.MONTHLY, date(2026, 2, 1)),
        (Span.MONTHLY, date(2026, 1, 1)),
        (Span.DAILY, date(2025, 12, 31)),
        (Span.DAILY, date(2025, 12, 30)),
    ]


@pytest.mark.parametrize(("today", "monthly"), [(date(2026, 3, 10), False), (date(2026, 3, 11), True)])
def test_a_month_is_not_expected_before_its_tenth_day_is_over(today: date, monthly: bool) -> None:
    found = due_files(NOTHING, date(2026, 2, 1), today)
    assert ((Span.MONTHLY, date(2026, 2, 1)) in found) is monthly
    assert ((Span.DAILY, date(2026, 2, 28)) in found) is not monthly


def test_a_month_without_a_usable_file_is_its_days() -> None:
    found = due_files(NOTHING, date(2026, 2, 1), TODAY, {date(2026, 2, 1)})
    assert (Span.MONTHLY, date(2026, 2, 1)) not in found
    assert sum(day.month == 2 for _, day in found) == 28


def test_what_the_file_of_a_month_lacked_is_looked_for_in_those_of_its_days() -> None:
    """Months were published without days whose own files are complete."""
    gap = TradeGap(1, "BTCUSDT", 5, 9, ms(date(2026, 2, 3)) - 100, ms(date(2026, 2, 4)) + 100)
    there = Coverage(reach(date(2026, 1, 1), date(2026, 3, 20)), [gap])
    assert due_files(there, date(2026, 1, 1), TODAY) == [(Span.MONTHLY, date(2026, 2, 1))]
    found = due_files(there, date(2026, 1, 1), TODAY, {date(2026, 1, 1), date(2026, 2, 1)})
    assert found == [(Span.DAILY, date(2026, 2, day)) for day in (4, 3, 2)]


def test_a_month_that_lacks_nothing_is_not_looked_through_by_its_days() -> None:
    asked: list[int] = []

    class Watched(Coverage):
        def holds(self, from_ms: int, to_ms: int) -> bool:
            asked.append(from_ms)
            return super().holds(from_ms, to_ms)

    there = Watched(reach(date(2020, 1, 1), date(2026, 3, 20)), ())
    done = [date(year, month, 1) for year in range(2020, 2027) for month in range(1, 13)]
    assert due_files(there, date(2020, 1, 1), TODAY, done) == []
    assert len(asked) < 150, "a look a month, and one a day of those that are not over"


def test_days_that_are_stored_whole_are_not_fetched() -> None:
    gap = TradeGap(1, "BTCUSDT", 5, 9, ms(date(2026, 3, 15)) + 1000, ms(date(2026, 3, 15)) + 2000)
    there = Coverage(reach(date(2026, 3, 10), date(2026, 3, 20)), [gap])
    found = due_files(there, date(2026, 3, 8), TODAY)
    assert found == [(Span.DAILY, date(2026, 3, day)) for day in (15, 9, 8)]


def test_a_gap_over_midnight_belongs_to_both_days() -> None:
    gap = TradeGap(1, "BTCUSDT", 5, 9, ms(date(2026, 3, 15)) - 1000, ms(date(2026, 3, 15)) + 1000)
    there = Coverage(reach(date(2026, 3, 10), date(2026, 3, 20)), [gap])
    assert [day.day for _, day in due_files(there, date(2026, 3, 10), TODAY)] == [15, 14]


def test_nothing_is_due_before_the_first_day_is_over() -> None:
    assert due_files(NOTHING, TODAY, TODAY) == []


def test_of_a_listing_that_is_over_nothing_later_is_due_and_its_last_month_is_days() -> None:
    found = due_files(NOTHING, date(2026, 1, 1), date(2026, 2, 4), today=TODAY)
    assert found == [
        *((Span.DAILY, date(2026, 2, day)) for day in (3, 2, 1)),
        (Span.MONTHLY, date(2026, 1, 1)),
    ]


def test_of_a_listing_that_began_in_a_month_its_days_are_due() -> None:
    found = due_files(NOTHING, date(2026, 1, 30), date(2026, 2, 1), today=TODAY)
    assert found == [(Span.DAILY, date(2026, 1, 31)), (Span.DAILY, date(2026, 1, 30))]


@pytest.mark.parametrize(
    ("state", "hours", "settled"),
    [
        (FileState.IMPORTED, 10_000, True),
        (FileState.LISTED, 0, False),
        (FileState.MISSING, 5, True),
        (FileState.MISSING, 7, False),
        (FileState.QUARANTINED, 6 * 24, True),
        (FileState.QUARANTINED, 8 * 24, False),
    ],
)
def test_a_file_that_was_unusable_is_read_again_after_a_week(
    state: FileState, hours: int, settled: bool
) -> None:
    """It was perhaps asked for between the file and its checksum, and nothing else brings its trades."""
    file = ArchiveFile("some/file.zip", Dataset.TRADES, "BTCUSDT", Span.DAILY, TODAY)
    known = {file.path: KnownFile(file, state, "", ms(TODAY))}
    assert _settled(known, file, ms(TODAY) + hours * 3_600_000) is settled
