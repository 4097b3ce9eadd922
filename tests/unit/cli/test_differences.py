"""Differences between sources: every one that there is, and none that is not."""

from __future__ import annotations

from dataclasses import replace

from src.cli.reconcile.differences import MISSING, differences
from tests.support.fakes import EPOCH_MS, make_candle

ROWS = [make_candle(open_ms=EPOCH_MS + n * 60_000) for n in range(3)]


def test_equal_rows_and_a_file_that_is_not_there_are_no_difference() -> None:
    assert differences(ROWS, ROWS, ROWS) == []
    assert differences(ROWS, ROWS, None) == []
    assert differences([], [], None) == []


def test_a_value_and_a_row_that_differ_are_named() -> None:
    other = replace(ROWS[1], volume=99.0)
    found = differences(ROWS[:2], [ROWS[0], other], ROWS)
    assert [(item.open_ms, item.field, item.stored, item.rest, item.archive) for item in found] == [
        (ROWS[1].open_ms, "volume", 7.0, 99.0, 7.0),
        (ROWS[2].open_ms, MISSING, None, None, "yes"),
    ]


def test_a_row_that_only_the_file_lacks_is_named_when_there_is_a_file() -> None:
    assert [item.field for item in differences(ROWS, ROWS, ROWS[:2])] == [MISSING]
