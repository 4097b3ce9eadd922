"""Whether the newest archive day of metrics says what REST says, before any is merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum

from ...model import FIVE_MINUTES_MS, METRIC_COLUMNS, FuturesMetric

_LEAST_ROWS = 12
"""Fewer rows in common prove nothing."""
_LEAST_SHARE = 0.9
_ROUNDING = Decimal("0.0001")
"""REST rounds ratios to four decimals, the archive has eight; a shifted label is off by far more on most rows."""

_LAST_DIGITS = Decimal("0.0000001")


class Verdict(StrEnum):
    """What a comparison showed, by the word in metric labels."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    UNKNOWN = "unknown"


def compare(archive: Iterable[FuturesMetric], rest: Iterable[FuturesMetric]) -> Verdict:
    """Compare rows of one symbol at the same ``end_ms``, column by column; pure.

    Every column that both know on 12 rows or more must be the same on nine of ten. A stock column and the taker ratio
    must be among them, because their labels have been moved separately before; without them nothing is known. A
    column on which nearly nothing moves agrees under any label; it is left out.
    """
    by_end = {row.end_ms: row for row in rest}
    days = [row for row in archive if row.end_ms in by_end]
    verdicts = [_column(number, days, by_end) for number in range(len(METRIC_COLUMNS))]
    if Verdict.DISAGREES in verdicts:
        return Verdict.DISAGREES
    stocks, taker = verdicts[:-1], verdicts[-1]
    known = Verdict.AGREES in stocks and taker is Verdict.AGREES
    return Verdict.AGREES if known else Verdict.UNKNOWN


def _column(number: int, archive: list[FuturesMetric], rest: Mapping[int, FuturesMetric]) -> Verdict:
    said = [(row.end_ms, row.values[number], rest[row.end_ms].values[number]) for row in archive]
    pairs = [
        (end_ms, ours, theirs) for end_ms, ours, theirs in said if ours is not None and theirs is not None
    ]
    if len(pairs) < _LEAST_ROWS:
        return Verdict.UNKNOWN
    same = sum(_close(ours, theirs) for _, ours, theirs in pairs)
    shifted = 0
    for end_ms, ours, _ in pairs:
        neighbour = rest.get(end_ms + FIVE_MINUTES_MS)
        theirs = None if neighbour is None else neighbour.values[number]
        shifted += theirs is not None and _close(ours, theirs)
    if same >= _LEAST_SHARE * len(pairs):
        return Verdict.UNKNOWN if shifted >= _LEAST_SHARE * (len(pairs) - 1) else Verdict.AGREES
    return Verdict.DISAGREES


def _close(ours: Decimal, theirs: Decimal) -> bool:
    """Equal but for what rounding to four decimals, or a value's last digits, makes of it."""
    return abs(ours - theirs) <= max(_ROUNDING, abs(theirs) * _LAST_DIGITS)
