"""``marketd coverage``: how much of what was due is there, day by day, from the ledger alone."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Any
from unicodedata import normalize

from ...adapters.timescale.options import DatabaseOptions
from ...adapters.timescale.reports.coverage import Ledger, Question, read_ledger
from ...clock import VenueClock
from ...config import Settings
from ...errors import EXIT_OK, BadData, ConfigError
from ...model import DAY_MS, Dataset
from .. import output
from ..context import Context
from .accounting import Account, day_of, first_not_due, not_due, shares, total
from .view import cell_days, draw, group

_UNKNOWN = "--symbol {}: no symbol of the ledger is called so; `marketd symbols --listings` lists them"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person asked for; days are included on both ends."""

    dataset: Dataset
    globs: tuple[str, ...]
    first: date | None
    last: date | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """The answer: an account for each symbol and cell, and where the cells lie."""

    dataset: Dataset
    known: int
    first: date
    last: date
    days: int
    cells: dict[str, dict[int, Account]]
    now_ms: int

    @property
    def by_symbol(self) -> dict[str, Account]:
        return {symbol: total(cells.values()) for symbol, cells in self.cells.items()}

    @property
    def by_cell(self) -> dict[int, Account]:
        numbers = sorted({number for cells in self.cells.values() for number in cells})
        return {
            number: total(cells[number] for cells in self.cells.values() if number in cells)
            for number in numbers
        }


def run(context: Context, wanted: Wanted, *, as_json: bool) -> int:
    """Print the map or the JSON document. Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``."""
    settings = context.settings("DATABASE_URL")
    width = shutil.get_terminal_size((100, 24)).columns
    found = asyncio.run(ask(settings, wanted, width=None if as_json else width))
    if as_json:
        output.as_json(document(found, wanted))
    elif found is None:
        output.note("the ledger has no day of that; the daemon (`marketd --all`) fills it as it runs")
    else:
        draw(found, group(found.cells), sys.stdout, width)
    return EXIT_OK


async def ask(settings: Settings, wanted: Wanted, *, width: int | None) -> Coverage | None:
    """Read the ledger; with a ``width`` (columns) the cells are as wide as they must be to fit, else a day each."""
    now_ms = VenueClock(speed=settings.speed).now_ms()
    question = Question(
        dataset=wanted.dataset,
        choose=lambda known: chosen(known, wanted.globs),
        first=wanted.first,
        last=wanted.last,
        cell_days=lambda first, last: 1 if width is None else cell_days(first, last, width),
        not_due_ms=first_not_due(wanted.dataset, now_ms),
        day_end_ms=(now_ms // DAY_MS + 1) * DAY_MS,
    )
    ledger = await read_ledger(reader_options(settings), question)
    return None if ledger is None else account(ledger, wanted.dataset, now_ms)


def reader_options(settings: Settings) -> DatabaseOptions:
    """How to reach the database to look."""
    url = settings.reader_url()
    if url is None:
        raise ConfigError("DATABASE_URL: is not set")
    return DatabaseOptions(url, schema=settings.kline_db_schema, exchange=settings.binance_ws_db_exchange)


def chosen(known: Sequence[str], globs: Sequence[str], *, unknown: str = _UNKNOWN) -> list[str]:
    """The symbols that one of the globs means, in any case and Unicode form; all of them without any.

    Raises ``BadData`` where symbols are known and one of the globs means none of them; ``unknown`` is what it says.
    """
    wrong = [glob for glob in globs if not any(is_meant(name, (glob,)) for name in known)]
    if known and wrong:
        raise BadData(unknown.format(",".join(wrong)), reason="unknown_symbol")
    return [name for name in known if is_meant(name, globs)]


def is_meant(symbol: str, globs: Sequence[str]) -> bool:
    """Whether one of the globs means the symbol; without any each is meant."""
    patterns = [normalize("NFC", glob).upper() for glob in globs]
    return not patterns or any(fnmatchcase(symbol.upper(), pattern) for pattern in patterns)


def account(ledger: Ledger, dataset: Dataset, now_ms: int) -> Coverage:
    """Lines to accounts: what is not due yet or in a request is pending, the rest that lacks is missing; pure."""
    cells: dict[str, dict[int, Account]] = {symbol: {} for symbol in ledger.symbols}
    for cell in ledger.cells:
        cells[cell.symbol][cell.number] = Account(
            expected=cell.expected,
            have=cell.have,
            absent=cell.absent,
            expired=cell.expired,
            beyond=cell.beyond,
        )
    for symbol, numbers in cells.items():
        for day, rows in not_due(dataset, ledger.listings.get(symbol, []), now_ms).items():
            number = (day - ledger.first).days // ledger.days
            if number in numbers and ledger.first <= day <= ledger.last:
                waits = rows - ledger.stored_early.get((symbol, day), 0)
                numbers[number] = numbers[number].with_pending(waits)
    for (symbol, number), rows in ledger.planned.items():
        cells[symbol][number] = cells[symbol][number].with_pending(rows)
    return Coverage(dataset, ledger.known, ledger.first, ledger.last, ledger.days, cells, now_ms)


def document(found: Coverage | None, wanted: Wanted) -> dict[str, Any]:
    """The answer for a program: totals, by symbol and by day, each with the same parts."""
    if found is None:
        return {"dataset": wanted.dataset.value, "from": None, "to": None, "total": _plain(Account())}
    days = {
        day_of(_ms(found.first) + number * DAY_MS).isoformat(): _plain(one)
        for number, one in found.by_cell.items()
    }
    whole = total(found.by_symbol.values())
    return {
        "dataset": found.dataset.value,
        "from": found.first.isoformat(),
        "to": found.last.isoformat(),
        "symbols": len(found.cells),
        "total": {**_plain(whole), "percent": shares(whole.parts)},
        "by_symbol": {symbol: _plain(one) for symbol, one in found.by_symbol.items()},
        "by_day": days,
    }


def _plain(one: Account) -> dict[str, int]:
    return {"expected": one.expected, **one.parts, "beyond": one.beyond}


def _ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS
