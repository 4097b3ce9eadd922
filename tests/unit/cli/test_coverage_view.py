"""The map reads without colour, fits its terminal, and shows the smallest hole."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.cells import cell_len

from src.cli.coverage.accounting import Account, total
from src.cli.coverage.view import cell_days, draw, group, mark
from src.model import Dataset

FIRST = date(2026, 10, 27)
WHOLE = Account(expected=1440, have=1440)


@dataclass
class Picture:
    """A map of ``days`` daily cells for each symbol, all there unless ``cells`` says otherwise."""

    symbols: list[str]
    count: int
    cells: dict[str, dict[int, Account]] = field(default_factory=dict)
    days: int = 1
    dataset: Dataset = Dataset.CANDLES
    known: int = 740
    now_ms: int = 1_795_680_000_000

    def __post_init__(self) -> None:
        self.cells = {
            symbol: {number: WHOLE for number in range(self.count)} | self.cells.get(symbol, {})
            for symbol in self.symbols
        }

    @property
    def first(self) -> date:
        return FIRST

    @property
    def last(self) -> date:
        return FIRST + timedelta(days=self.count * self.days - 1)

    @property
    def by_symbol(self) -> dict[str, Account]:
        return {symbol: total(cells.values()) for symbol, cells in self.cells.items()}


def drawn(picture: Picture, width: int) -> list[str]:
    stream = StringIO()
    draw(picture, group(picture.cells), stream, width)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("account", "sign"),
    [
        (None, " "),
        (Account(), " "),
        (WHOLE, "█"),
        (Account(expected=1440, have=1437, absent=3), "a"),
        (Account(expected=1440, expired=1440), "x"),
        (Account(expected=1440, have=500, pending=940), "~"),
        (Account(expected=1440, have=1439), "0"),
        (Account(expected=1440, have=720, pending=100), "4"),
        (Account(expected=1440, have=1), "9"),
        (Account(expected=1440), "#"),
    ],
)
def test_a_cell_shows_what_is_worst_in_it(account: Account | None, sign: str) -> None:
    assert mark(account) == sign


def test_one_minute_of_one_symbol_among_many_is_seen() -> None:
    symbols = [f"S{number:03}USDT" for number in range(740)]
    picture = Picture(symbols, 31, {"S345USDT": {20: Account(expected=1440, have=1439)}})
    lines = drawn(picture, 80)
    rows = [line for line in lines if line.startswith("S") and ".." in line]
    assert len(rows) == 20
    marked = [line for line in rows if "0" in line[23:-9]]
    assert marked == ["S333..S369  37         " + "█" * 20 + "0" + "█" * 10 + "  99.999%"]
    assert any("of 1 symbols that lack something: S345USDT 1" in line for line in lines)
    assert "  missing                 1    0.000 %  due and not stored: see `marketd gaps`" in lines


@pytest.mark.parametrize("width", [60, 80, 100, 160])
@pytest.mark.parametrize("days", [1, 31, 401, 2600])
def test_fits_the_terminal(width: int, days: int) -> None:
    wide = cell_days(FIRST, FIRST + timedelta(days=days - 1), width)
    picture = Picture(["1000000BOBUSDT", "币安人生USDT", "A" * 30], -(-days // wide), days=wide)
    lines = drawn(picture, width)
    assert max(map(cell_len, lines)) <= width
    rows = [line for line in lines if line.rstrip().endswith("100%")]
    assert len(rows) == 3
    assert len({cell_len(line) for line in rows}) == 1


def test_a_terminal_of_ascii_gets_the_same_in_ascii() -> None:
    raw = BytesIO()
    stream = TextIOWrapper(raw, encoding="ascii")
    picture = Picture(["币安人生USDT"], 5, {"币安人生USDT": {3: Account(expected=1440)}})
    draw(picture, group(picture.cells), stream, 80)
    stream.flush()
    text = raw.getvalue().decode("ascii")
    assert "===#=" in text
    assert "= all there" in text
