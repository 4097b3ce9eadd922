"""The ledger's work cut into statements: what changed, how much at a time, and the columns that say so. All pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from ....model import DAY_MS, Dataset
from .days import Span, clipped, day_of, first_difference, merged, start_of, utc

T = TypeVar("T")
Key = tuple[str, date]
Window = tuple[str, Span]

LINES = 5000
"""Lines set in one transaction; the live writer waits for one that holds the line of its day."""
COUNTED = 200
"""Days counted in one transaction, for the same reason."""
SEARCHED = 1000
"""Symbol-days searched in one statement: about a second on two cores."""
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Change:
    """What is due of a symbol from ``first_day`` on; ``followed`` is everything that is right afterwards."""

    symbol: str
    first_day: date
    due: tuple[Span, ...]
    followed: tuple[Span, ...]

    @property
    def lines(self) -> int:
        return sum((to - start) // DAY_MS + 2 for start, to in self.due) + 1


def changes(done: Mapping[str, tuple[Span, ...]], wanted: Mapping[str, tuple[Span, ...]]) -> list[Change]:
    """What is to be set so that ``done`` becomes ``wanted``, for the symbols of ``wanted``."""
    found = []
    for symbol, items in sorted(wanted.items()):
        # What an earlier run left is looked at as a whole, once.
        changed_ms = first_difference(done[symbol], items) if symbol in done else 0
        if changed_ms is not None:
            first_day = day_of(changed_ms)
            due = tuple(clipped(items, start_of(first_day), items[-1][1] if items else 0))
            found.append(Change(symbol, first_day, due, items))
    return found


def batches(items: Iterable[T], limit: int, size: Callable[[T], int] = lambda _: 1) -> Iterator[list[T]]:
    """``items`` in order, in lists of at most ``limit`` together; one that is larger comes alone."""
    batch: list[T] = []
    total = 0
    for item in items:
        if batch and total + size(item) > limit:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size(item)
    if batch:
        yield batch


def searches(windows: Iterable[Window]) -> Iterator[list[Window]]:
    """The windows week by week, so that one statement concerns one or two chunks; neighbouring days made one."""
    weeks: dict[int, dict[str, list[Span]]] = {}
    for symbol, span in windows:
        weeks.setdefault(span[0] // (DAY_MS * _WEEK), {}).setdefault(symbol, []).append(span)
    for _, symbols in sorted(weeks.items()):
        asked = [(symbol, span) for symbol, items in sorted(symbols.items()) for span in merged(items)]
        yield from batches(asked, SEARCHED, lambda window: (window[1][1] - window[1][0]) // DAY_MS + 1)


def counts(keys: Iterable[Key]) -> Iterator[list[Key]]:
    """The days to count, week by week for the same reason, each once."""
    ordered = sorted(set(keys), key=lambda key: (key[1].toordinal() // _WEEK, key))
    return batches(ordered, COUNTED)


def due_columns(changed: Sequence[Change]) -> dict[str, object]:
    flat = [(change.symbol, start, to) for change in changed for start, to in change.due]
    return {
        "symbols": [change.symbol for change in changed],
        "first_days": [change.first_day for change in changed],
        "span_symbols": [symbol for symbol, _, _ in flat],
        "span_from": [utc(start) for _, start, _ in flat],
        "span_to": [utc(to) for _, _, to in flat],
    }


def window_columns(windows: Sequence[Window]) -> dict[str, object]:
    return {
        "symbols": [symbol for symbol, _ in windows],
        "from": [utc(start) for _, (start, _) in windows],
        "to": [utc(to) for _, (_, to) in windows],
        "earliest": utc(min(start for _, (start, _) in windows)),
        "latest": utc(max(to for _, (_, to) in windows)),
    }


def key_columns(keys: Sequence[Key]) -> dict[str, object]:
    return {
        "symbols": [symbol for symbol, _ in keys],
        "days": [day for _, day in keys],
        "earliest": utc(min(start_of(day) for _, day in keys)),
        "latest": utc(max(start_of(day) for _, day in keys) + DAY_MS),
    }


def row_columns(exchange: str, dataset: Dataset, rows: Iterable[tuple[str, int]]) -> dict[str, object]:
    """Single rows by symbol and the beginning of their period (UTC ms)."""
    keys = list(rows)
    return {
        "exchange": exchange,
        "dataset": dataset.value,
        "symbols": [symbol for symbol, _ in keys],
        "ts": [utc(ms) for _, ms in keys],
    }
