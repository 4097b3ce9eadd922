"""Rows that are merged column by column: which value of several wins, and how merged rows are sent. Pure.

The same rule stands in ``sql/queries/metrics.sql`` and ``funding.sql``; a test runs both over the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar

from ....model import FundingRate, FuturesMetric

Value = Decimal | int | None

NOBODY_SAID = -1
"""The rank of a column that is NULL."""
_MAX_REVISION = 999

FUNDING_COLUMNS = ("funding_rate", "mark_price", "interval_hours")

SECOND_MS = 1000
"""Funding is keyed by the second: the venue settles some milliseconds after the full hour."""

_Row = TypeVar("_Row", FuturesMetric, FundingRate)


@dataclass(slots=True)
class Merged(Generic[_Row]):
    """One key's columns as (rank, value), and the largest (authority, source) that had a part."""

    symbol: str
    at_ms: int
    columns: list[tuple[int, Value]]
    origin: tuple[int, str]

    def add(self, columns: Sequence[tuple[int, Value]], origin: tuple[int, str]) -> None:
        """Take in another row of the same key."""
        self.columns = [max(pair, key=_order) for pair in zip(self.columns, columns, strict=True)]
        self.origin = max(self.origin, origin)


def merged_metrics(rows: Iterable[FuturesMetric]) -> list[Merged[FuturesMetric]]:
    """One row a key, ordered by key; one without any value is left out, for it says nothing."""
    return _merged((row.symbol, row.end_ms, list(row.values), row) for row in rows)


def merged_funding(rows: Iterable[FundingRate]) -> list[Merged[FundingRate]]:
    """One row a symbol and second, ordered by key."""
    return _merged(
        (
            row.symbol,
            row.funding_ms // SECOND_MS * SECOND_MS,
            [row.rate, row.mark_price, row.interval_hours],
            row,
        )
        for row in rows
    )


def parameters(rows: Sequence[Merged[_Row]], time: str, names: Sequence[str]) -> dict[str, list[object]]:
    """The arrays of the statement ``merge``, by the names it binds."""
    arrays: dict[str, list[object]] = {
        "symbol": [row.symbol for row in rows],
        time: [row.at_ms for row in rows],
        "authority": [row.origin[0] for row in rows],
        "source": [row.origin[1] for row in rows],
    }
    for number, name in enumerate(names):
        arrays[name] = [row.columns[number][1] for row in rows]
        arrays[f"{name}_rank"] = [row.columns[number][0] for row in rows]
    return arrays


def _merged(rows: Iterable[tuple[str, int, list[Value], _Row]]) -> list[Merged[_Row]]:
    found: dict[tuple[str, int], Merged[_Row]] = {}
    for symbol, at_ms, values, row in rows:
        rank = int(row.authority) * (_MAX_REVISION + 1) + min(row.revision, _MAX_REVISION)
        columns = [(NOBODY_SAID if value is None else rank, value) for value in values]
        if all(value is None for value in values):
            continue
        origin = (int(row.authority), row.source)
        known = found.get((symbol, at_ms))
        if known is None:
            found[symbol, at_ms] = Merged(symbol, at_ms, columns, origin)
        else:
            known.add(columns, origin)
    return [found[key] for key in sorted(found)]


def _order(column: tuple[int, Value]) -> tuple[int, Decimal | int]:
    rank, value = column
    return rank, 0 if value is None else value
