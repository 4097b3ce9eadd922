"""docs/faults.md and tests/faults name the same tests, and every fault that is promised has one."""

from __future__ import annotations

import re

from tests.support.processes import ROOT

_PROMISED = (
    *(f"A{number}" for number in range(1, 19)),
    *(f"B{number}" for number in range(1, 17)),
    *(f"C{number}" for number in range(1, 15)),
    *(f"D{number}" for number in range(1, 18)),
    *(f"E{number}" for number in range(1, 25)),
    *(f"F{number}" for number in range(1, 22)),
    *(f"G{number}" for number in range(1, 11)),
    *(f"H{number}" for number in range(1, 18)),
    *(f"I{number}" for number in range(1, 6)),
    *(f"J{number}" for number in range(1, 4)),
)
_TABLE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")


def test_every_promised_row_is_in_the_table() -> None:
    columns = re.findall(r"^\| ([A-J]\d+(?:, [A-J]\d+)*) \|", _TABLE, flags=re.MULTILINE)
    rows = {row for column in columns for row in column.split(", ")}
    assert [row for row in _PROMISED if row not in rows] == []


def test_the_table_names_exactly_the_tests_there_are() -> None:
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", _TABLE))
    there = {
        (path.name, name)
        for path in (ROOT / "tests" / "faults").glob("test_*.py")
        for name in re.findall(r"^async def (test_\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert named == there
