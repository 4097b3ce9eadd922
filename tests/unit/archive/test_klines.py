"""Faults D8, D9 (inside a file) and D10: the shapes that a kline file comes in, and the rows that are refused.

``archive.rows.candle_of`` is the definition of a row; the columnar parser is held against it row by row.
"""

from __future__ import annotations

import gzip
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.binance.archive.counted import KEPT_REJECTS
from src.adapters.binance.archive.klines import KlineTable, candle_at, parse_klines
from src.adapters.binance.archive.rows import COLUMNS, candle_of
from src.errors import BadData
from src.model import DAY_MS, MINUTE_MS, Candle
from tests.support.zips import FIRST_MS, HEADER, csv_row, csv_text

SOURCE = "binance_archive"


def parse(data: bytes) -> KlineTable:
    return parse_klines(data, "BTCUSDT", source=SOURCE, from_ms=FIRST_MS, to_ms=FIRST_MS + DAY_MS)


def candles(table: KlineTable) -> list[Candle]:
    return [candle_at(table, at, "BTCUSDT", SOURCE) for at in range(len(table))]


def rows(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


PLAIN = csv_text(20, header=False)
_LINES = PLAIN.decode().splitlines()


def _microseconds(line: str) -> str:
    cells = line.split(",")
    cells[0], cells[6] = f"{cells[0]}000", f"{cells[6]}999"
    return ",".join(cells)


def _reordered() -> bytes:
    names = HEADER.strip().split(",")
    order = [5, 3, 0, 1, 2, 4, 11, 10, 9, 8, 7, 6]
    lines = [names, *(line.split(",") for line in _LINES)]
    return rows(*(",".join(line[at] for at in order) for line in lines))


_SHAPES = {
    "no header": PLAIN,
    "header": csv_text(20),
    "byte-order mark": b"\xef\xbb\xbf" + csv_text(20),
    "byte-order mark, no header": b"\xef\xbb\xbf" + PLAIN,
    "CRLF": csv_text(20).replace(b"\n", b"\r\n"),
    "old Macintosh": csv_text(20).replace(b"\n", b"\r"),
    "no last line end": PLAIN.rstrip(b"\n"),
    "blank lines": b"\n" + PLAIN.replace(b"\n", b"\n\n"),
    "extra columns": rows(*(f"{line},7,x" for line in _LINES)),
    "extra columns and header": rows(f"{HEADER.strip()},a,b", *(f"{line},7,x" for line in _LINES)),
    "no last column": rows(*(line.rpartition(",")[0] for line in _LINES)),
    "microseconds": rows(*map(_microseconds, _LINES)),
    "unsorted": rows(*random.Random(1).sample(_LINES, len(_LINES))),
    "spot names": PLAIN.join(
        [
            b"Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades,"
            b"Taker buy base asset volume,Taker buy quote asset volume,Ignore\n",
            b"",
        ]
    ),
    "other order": _reordered(),
    "every row twice": PLAIN + PLAIN,
}


@pytest.mark.parametrize("shape", _SHAPES)
def test_every_shape_gives_identical_rows(shape: str) -> None:
    wanted = [candle_of("BTCUSDT", line.split(",")[:11], source=SOURCE).candle for line in _LINES]
    table = parse(_SHAPES[shape])
    assert candles(table) == wanted
    assert table.reasons == {}
    assert table.lines == len(wanted) + table.duplicates


def test_gaps_stay_gaps() -> None:
    kept = [line for at, line in enumerate(_LINES) if at not in (0, 7, 8, 19)]
    table = parse(rows(*kept))
    assert [candle.open_ms for candle in candles(table)] == [int(line.split(",")[0]) for line in kept]


def test_of_two_rows_for_a_minute_the_better_one_stays() -> None:
    few, many = csv_row(3, trades=5), csv_row(3, trades=9)
    for lines in ((few, many), (many, few), (many, few, many)):
        (candle,) = candles(parse(rows(*lines)))
        assert candle.trade_count == 9


@pytest.mark.parametrize(
    ("column", "name"),
    [(7, "quote_volume"), (8, "trade_count"), (9, "taker_buy_volume"), (10, "taker_buy_quote_volume")],
)
def test_a_blank_cell_is_null_and_not_zero(column: int, name: str) -> None:
    cells = csv_row(3).split(",")
    cells[column] = ""
    table = parse(rows(csv_row(2), ",".join(cells), csv_row(4)))
    found = candles(table)
    assert [getattr(candle, name) is None for candle in found] == [False, True, False]
    assert table.reasons == {}


_BAD: dict[str, tuple[int, str, str]] = {
    "high below low": (2, "1", "bad_price"),
    "low above close": (3, "100.9", "bad_price"),
    "no price": (1, "", "blank"),
    "price zero": (3, "0", "bad_price"),
    "negative": (5, "-3", "bad_volume"),
    "negative quote volume": (7, "-3", "bad_volume"),
    "takers bought more than all": (9, "21", "bad_volume"),
    "NaN": (4, "NaN", "bad_number"),
    "infinity": (2, "inf", "bad_number"),
    "exponent": (5, "1e3", "bad_number"),
    "quoted": (1, '"100.0"', "bad_number"),
    "words": (1, "null", "bad_number"),
    "Arabic digits": (1, "١٠٠", "bad_number"),
    "half a count": (8, "1.5", "bad_number"),
    "a count too large": (8, "9" * 30, "bad_number"),
    "no time": (0, "yesterday", "bad_time"),
    "blank time": (0, "", "blank"),
    "seconds": (0, str(FIRST_MS // 1000), "bad_time"),
    "half a minute": (0, str(FIRST_MS + 30_000), "bad_time"),
    "another close time": (6, str(FIRST_MS), "bad_time"),
}


@pytest.mark.parametrize("what", _BAD)
def test_a_bad_row_is_refused_alone(what: str) -> None:
    column, text, reason = _BAD[what]
    cells = csv_row(3).split(",")
    cells[column] = text
    bad = ",".join(cells)
    table = parse(rows(csv_row(2), bad, csv_row(4)))
    assert [candle.open_ms for candle in candles(table)] == [
        FIRST_MS + 2 * MINUTE_MS,
        FIRST_MS + 4 * MINUTE_MS,
    ]
    assert table.reasons == {reason: 1}
    assert [(row.reason, row.raw) for row in table.rejected] == [(reason, ",".join(cells[:11]))]


@pytest.mark.parametrize("line", ["1,2,3", csv_row(3) + ",7,7,7,7", "garbage"])
def test_a_line_of_another_width_is_refused_alone(line: str) -> None:
    table = parse(rows(csv_row(2), line, csv_row(4)))
    assert len(table) == 2
    assert table.reasons == {"columns": 1}
    assert table.rejected[0].raw == line


def test_rows_of_another_day_are_refused() -> None:
    table = parse(rows(csv_row(-1), csv_row(0), csv_row(1439), csv_row(1440)))
    assert [candle.open_ms for candle in candles(table)] == [FIRST_MS, FIRST_MS + 1439 * MINUTE_MS]
    assert table.reasons == {"outside_file": 2}


def test_only_so_many_refused_rows_are_kept_and_all_are_counted() -> None:
    table = parse(rows(csv_row(0), *["1,2"] * 500))
    assert table.reasons == {"columns": 500}
    assert len(table.rejected) == KEPT_REJECTS
    assert table.lines == 501


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\n\n", "empty"),
        (b"a,b\n1,2\n", "columns"),
        (b"1,2\n3,4\n", "columns"),
        (HEADER.encode(), "no_good_rows"),
        (HEADER.replace("count", "open").encode() + PLAIN, "columns"),
        (bytes(range(256)) * 10, "columns"),
        (rows(csv_row(0).replace("100.0", "x")), "no_good_rows"),
    ],
)
def test_a_file_without_one_good_row_is_refused_whole(data: bytes, reason: str) -> None:
    with pytest.raises(BadData) as refused:
        parse(data)
    assert refused.value.reason == reason


def test_longer_numbers_are_stored_and_counted() -> None:
    cells = csv_row(3).split(",")
    cells[7] = "2000.12345678901234"
    table = parse(rows(csv_row(2), ",".join(cells)))
    assert table.inexact == {"quote_volume": 1}
    assert candles(table)[1].quote_volume == 2000.12345678901234


# fmt: off
_ODD_CELLS = (
    "", "0", "1", "-1", "100", "100.5", "99", "101", "1.", ".5", "-.5", "+1", "1e2", "nan", "inf", " 1", "20",
    "99999999999999999", "x", '"', "1.000000000000000001", "\x00", "é", "--1",
)
# fmt: on
_CELLS = st.sampled_from([*_ODD_CELLS, str(FIRST_MS), str(FIRST_MS + 59_999)])


@given(changes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 10), _CELLS), max_size=12))
def test_the_columns_say_what_single_rows_say(changes: list[tuple[int, int, str]]) -> None:
    lines = [csv_row(minute).split(",") for minute in range(10)]
    for row, column, text in changes:
        lines[row][column] = text
    wanted: dict[int, Candle] = {}
    reasons: Counter[str] = Counter()
    for cells in lines:
        try:
            candle = candle_of("BTCUSDT", cells[:11], source=SOURCE).candle
        except BadData as error:
            reasons[error.reason] += 1
            continue
        other = wanted.setdefault(candle.open_ms, candle)
        wanted[candle.open_ms] = max(candle, other, key=lambda one: one.rank)
    table = parse(HEADER.encode() + rows(*(",".join(cells) for cells in lines)))
    assert candles(table) == [wanted[open_ms] for open_ms in sorted(wanted)]
    assert table.reasons == reasons


def test_a_real_month_to_the_digit(market_data: Path) -> None:
    text = gzip.decompress((market_data / "klines_1m" / "ALGOUSDT-1m-2024-09.csv.gz").read_bytes())
    from_ms = 1_725_148_800_000
    table = parse_klines(text, "ALGOUSDT", source=SOURCE, from_ms=from_ms, to_ms=from_ms + 30 * DAY_MS)
    assert len(table) == 43_200
    assert table.reasons == {}
    assert table.inexact == {}
    places = {name: at for at, name in enumerate(COLUMNS)}
    for at, line in enumerate(text.decode().splitlines()[1:]):
        cells = line.split(",")
        assert int(cells[0]) == table.open_ms[at]
        for name, column in table.floats.items():
            assert float(cells[places[name]]) == column[at]
        assert int(cells[8]) == table.trade_count[at]
