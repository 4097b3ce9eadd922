"""The heat map of ``marketd coverage``: a cell a day or more, told by a character as well as by its colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import TextIOWrapper
from itertools import groupby
from typing import Protocol, TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from ...model import Dataset
from .accounting import Account, shares, total

Cells = Mapping[int, Account]

_FEW = 40
"""Up to so many symbols have a row each; more are put together."""
_GROUPS = 20
_WORST = 5
_LABEL = 22
_SHARE = 9
"""Columns of the label and of the share at the end of a row."""
_WIDTHS = (1, 7, 14, 28, 56, 91, 182, 364)

_HAVE, _PENDING, _EXPIRED, _ABSENT, _ALL_MISSING = "█", "~", "x", "a", "#"
_STYLES = {
    _HAVE: "green",
    _PENDING: "yellow",
    _EXPIRED: "bright_black",
    _ABSENT: "cyan",
    _ALL_MISSING: "bold red",
}
_LEGEND = (
    (_HAVE, "all there"),
    (_ABSENT, "some that no source has"),
    (_PENDING, "not due yet"),
    (_EXPIRED, "expired"),
    ("0", "-9 tenths missing"),
    (_ALL_MISSING, "all missing"),
)
_PARTS = {
    "have": ("green", "stored"),
    "pending": ("yellow", "not due yet, or in a plan"),
    "absent": ("cyan", "neither archive nor REST has it"),
    "expired": ("bright_black", "older than RETENTION_DAYS"),
    "missing": ("bold red", "due and not stored: see `marketd gaps`"),
}


class Picture(Protocol):
    """What is drawn."""

    @property
    def dataset(self) -> Dataset: ...
    @property
    def known(self) -> int: ...
    @property
    def first(self) -> date: ...
    @property
    def last(self) -> date: ...
    @property
    def days(self) -> int: ...
    @property
    def now_ms(self) -> int: ...
    @property
    def cells(self) -> Mapping[str, Cells]: ...
    @property
    def by_symbol(self) -> Mapping[str, Account]: ...


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the map: a symbol, or several that stand next to each other in the alphabet."""

    label: str
    cells: Cells


def cell_days(first: date, last: date, width: int) -> int:
    """How many days a cell must have so that the map fits into ``width`` columns: a day, a week, or more of them."""
    room = max(width - _LABEL - _SHARE - 2, 10)
    days = (last - first).days + 1
    return next((wide for wide in _WIDTHS if -(-days // wide) <= room), _WIDTHS[-1])


def group(cells: Mapping[str, Cells]) -> list[Row]:
    """A row for each symbol when they are few; else neighbours together, as even as can be."""
    symbols = list(cells)
    if len(symbols) <= _FEW:
        return [Row(symbol, cells[symbol]) for symbol in symbols]
    rows = []
    for number in range(_GROUPS):
        start, end = (len(symbols) * edge // _GROUPS for edge in (number, number + 1))
        members = symbols[start:end]
        label = f"{_short(members[0])}..{_short(members[-1])} {len(members):>3}"
        rows.append(Row(label, _together([cells[symbol] for symbol in members])))
    return rows


def _short(symbol: str) -> str:
    return symbol.removesuffix("USDT")[:8]


def _together(members: Sequence[Cells]) -> dict[int, Account]:
    numbers = sorted({number for cells in members for number in cells})
    return {number: total(cells[number] for cells in members if number in cells) for number in numbers}


def mark(account: Account | None) -> str:
    """The character of a cell: what is worst in it. Blank where nothing was due."""
    if account is None or not account.expected:
        return " "
    if account.missing:
        tenths = 10 * account.missing // account.expected
        return _ALL_MISSING if tenths == 10 else str(tenths)
    if account.pending:
        return _PENDING
    if account.expired:
        return _EXPIRED
    return _ABSENT if account.absent else _HAVE


def draw(picture: Picture, rows: Sequence[Row], stream: TextIO, width: int) -> None:
    """Write heading, map, totals and the symbols that lack most to ``stream``."""
    console = Console(file=stream, width=width, highlight=False)
    plain = not _can_encode(stream)
    if plain and isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a Chinese name must not end the command
    console.print(_heading(picture), style="bold")
    console.print()
    count = (picture.last - picture.first).days // picture.days + 1
    axis = _axis(picture.first, picture.days, count)
    console.print(Text(f"{'':<{_LABEL}} {axis:<{count}} {'of due':>{_SHARE - 1}}"))
    for row in rows:
        console.print(_line(row, count, plain))
    console.print()
    console.print(_legend(picture.days, plain))
    console.print()
    for line in _totals(total(picture.by_symbol.values())):
        console.print(line)
    if len(rows) != len(picture.by_symbol):
        _print_worst(console, picture.by_symbol)


def _heading(picture: Picture) -> str:
    names = list(picture.by_symbol)
    who = names[0] if len(names) == 1 else f"{len(names):,} of {picture.known:,} symbols"
    now = datetime.fromtimestamp(picture.now_ms / 1000, UTC)
    text = f"{picture.dataset.value}: {who}, {picture.first} to {picture.last}"
    return f"{text}, as of {now:%H:%M} UTC" if picture.last >= now.date() else text


def _axis(first: date, days: int, count: int) -> str:
    """Names of months above the cell where they begin, as many as fit; the year where it is not plain."""
    long = count * days > 100
    text, month = "", None
    for number in range(count):
        day = first + timedelta(days=number * days)
        if month is not None and (day.year, day.month) == month:
            continue
        new_year = month is None or day.year != month[0]
        label = f"{day:%Y-%m}" if long and new_year else f"{day:%b}"
        month = (day.year, day.month)
        if not text or number > len(text):
            text = text.ljust(number) + label
    return text


def _line(row: Row, count: int, plain: bool) -> Text:
    text = Text(f"{_fit(row.label)} ", overflow="ignore", no_wrap=True)
    for sign, run in groupby(mark(row.cells.get(number)) for number in range(count)):
        style = _STYLES.get(sign, "red" if sign.isdigit() else "")
        text.append(_shown(sign, plain) * len(list(run)), style=style)
    whole = total(row.cells.values())
    text.append(f" {_share(whole):>{_SHARE - 2}}%")
    return text


def _share(whole: Account) -> str:
    """Of what was due already; 100 only when all of it is there."""
    due = whole.expected - whole.pending
    if whole.have == due:
        return "100"
    return f"{min(100 * whole.have / due, 99.999):.3f}"


def _fit(label: str) -> str:
    """The label in exactly its columns; Chinese characters take two."""
    return set_cell_size(
        label if cell_len(label) <= _LABEL else f"{set_cell_size(label, _LABEL - 1)}~", _LABEL
    )


def _shown(sign: str, plain: bool) -> str:
    return "=" if plain and sign == _HAVE else sign


def _legend(days: int, plain: bool) -> Text:
    text = Text(f"A cell is {'a day' if days == 1 else f'{days} days'}: ")
    space = " " if plain else "\N{NO-BREAK SPACE}"
    for sign, meaning in _LEGEND:
        text.append(_shown(sign, plain), style=_STYLES.get(sign, "red"))
        text.append(f"{meaning}, " if sign == "0" else f"{space}{meaning}, ")
    text.append("blank nothing was due")
    return text


def _totals(whole: Account) -> list[Text]:
    lines = []
    percent = shares(whole.parts)
    for name, rows in whole.parts.items():
        style, meaning = _PARTS[name]
        text = Text(f"  {name:<9}")
        text.append(f"{rows:>16,}  {percent[name]:>7.3f} %", style=style if rows else "")
        text.append(f"  {meaning}")
        lines.append(text)
    lines.append(Text(f"  {'expected':<9}{whole.expected:>16,}  {sum(percent.values()):>7.3f} %"))
    if whole.beyond:
        lines.append(Text(f"  {whole.beyond:,} more rows are stored than were due"))
    return lines


def _print_worst(console: Console, by_symbol: Mapping[str, Account]) -> None:
    lacking = [(one.missing, symbol) for symbol, one in by_symbol.items() if one.missing]
    if not lacking:
        return
    lacking.sort(key=lambda item: (-item[0], item[1]))
    shown = ", ".join(f"{symbol} {missing:,}" for missing, symbol in lacking[:_WORST])
    console.print()
    console.print(f"Most missing, of {len(lacking):,} symbols that lack something: {shown}")


def _can_encode(stream: TextIO) -> bool:
    try:
        _HAVE.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
