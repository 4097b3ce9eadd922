"""The shapes that a trade file comes in, the rows that are refused, and the pieces that it is read in.

``archive.trade_rows.trade_of`` is the definition of a row; the columnar parser is held against it row by row.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.binance.archive.pieces import pieces
from src.adapters.binance.archive.trade_rows import trade_of
from src.adapters.binance.archive.trades import TradeTable, one_an_id, parse_trades, read_trades
from src.errors import BadData
from src.model import Trade
from tests.support.trade_files import FIRST_MS, HEADER, futures_row, futures_text, sample, spot_text
from tests.support.zips import zipped

TRADES = [sample(number) for number in range(50)]
TEXT = futures_text(TRADES)
PLAIN = futures_text(TRADES, header=False)


def trades(table: TradeTable) -> list[Trade]:
    columns = (table.trade_id, table.ts_ms, table.price, table.quantity, table.is_buyer_maker)
    return [Trade("BTCUSDT", *row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def rows(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


_LINES = PLAIN.decode().splitlines()

_SHAPES = {
    "header": TEXT,
    "no header": PLAIN,
    "spot": spot_text(TRADES),
    "byte-order mark": b"\xef\xbb\xbf" + TEXT,
    "CRLF": TEXT.replace(b"\n", b"\r\n"),
    "no last line end": TEXT.rstrip(b"\n"),
    "unsorted": rows(*random.Random(1).sample(_LINES, len(_LINES))),
    "every row twice": PLAIN + PLAIN,
    "other order": rows(
        "transact_time,is_buyer_maker,price,quantity,agg_trade_id,first_trade_id,last_trade_id",
        *(",".join(line.split(",")[at] for at in (5, 6, 1, 2, 0, 3, 4)) for line in _LINES),
    ),
}


@pytest.mark.parametrize("shape", _SHAPES)
def test_every_shape_gives_identical_trades(shape: str) -> None:
    table = one_an_id(parse_trades(_SHAPES[shape], "BTCUSDT"))
    assert trades(table) == TRADES
    assert table.reasons == {}
    assert table.lines == len(TRADES) + table.duplicates


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (0, "x", "bad_number"),
        (0, "-1", "bad_number"),
        (1, "0.0", "bad_price"),
        (1, "NaN", "bad_number"),
        (1, "", "blank"),
        (2, "0", "bad_volume"),
        (2, "1e3", "bad_number"),
        (5, "1769904000", "bad_time"),
        (5, "", "blank"),
        (6, "yes", "bad_flag"),
    ],
)
def test_a_row_that_cannot_be_costs_itself_alone(column: int, value: str, reason: str) -> None:
    cells = _LINES[7].split(",")
    cells[column] = value
    table = parse_trades(rows(*_LINES[:7], ",".join(cells), "1,2,3", *_LINES[8:]), "BTCUSDT")
    assert trades(table) == TRADES[:7] + TRADES[8:]
    assert table.reasons == {reason: 1, "columns": 1}
    assert table.lines == 51
    assert {row.reason for row in table.rejected} == {reason, "columns"}


def test_of_two_rows_with_one_id_the_first_stays_and_the_other_is_told() -> None:
    other = sample(3).price + 1
    line = futures_row(Trade("BTCUSDT", 5003, FIRST_MS + 2100, other, 0.004, True))
    table = one_an_id(parse_trades(rows(*_LINES, line, _LINES[3]), "BTCUSDT"))
    assert trades(table) == TRADES
    assert (table.duplicates, table.reasons) == (1, {"trade_differs": 1})


@given(
    drawn=st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 9), st.integers(1, 2)), min_size=1, max_size=30
    ),
    cuts=st.sets(st.integers(0, 10), max_size=3).map(sorted),
)
def test_ids_begin_anew_with_each_listing(drawn: list[tuple[int, int, int]], cuts: list[int]) -> None:
    """One id of two listings is two trades; within one the first that came stays."""
    given_trades = [
        Trade("BTCUSDT", number, FIRST_MS + at, float(price), 1.0, True) for number, at, price in drawn
    ]
    starts = [FIRST_MS + cut for cut in cuts]
    table = one_an_id(parse_trades(rows(*map(futures_row, given_trades)), "BTCUSDT"), starts)
    kept: dict[tuple[int, int], Trade] = {}
    again = differ = 0
    for trade in given_trades:
        first = kept.setdefault((bisect_right(starts, trade.ts_ms), trade.trade_id), trade)
        again += first is not trade and first == trade
        differ += first != trade
    assert trades(table) == [kept[key] for key in sorted(kept)]
    assert (table.duplicates, table.reasons["trade_differs"]) == (again, differ)


_CELLS = st.one_of(
    st.sampled_from(
        [
            "", "0", "1", "-1", "0.5", "1.", ".5", "1e5", "nan", "inf", "true", "True", "FALSE", "yes", " 1", "1 ",
            "1769904000123", "1769904000123456", "9" * 18, "9" * 19, "123456789012345.678", '"1"', "¼",
        ]
    ),
    st.integers(0, 10**16).map(str),
    st.decimals(0, 10**9, places=8).map(str),
)  # fmt: skip


@given(st.lists(st.tuples(*[_CELLS] * 7), min_size=1, max_size=8))
def test_columns_and_single_rows_agree(cells: list[tuple[str, ...]]) -> None:
    """A good row before them says that the file has no header, and how wide it is."""
    lines = [_LINES[0], *(",".join(row) for row in cells)]
    reasons: Counter[str] = Counter()
    inexact: Counter[str] = Counter()
    good = [TRADES[0]]
    for row in cells:
        try:
            parsed = trade_of("BTCUSDT", [row[at] for at in (0, 1, 2, 5, 6)])
        except BadData as error:
            reasons[error.reason] += 1
            continue
        inexact.update(parsed.inexact)
        good.append(parsed.trade)
    table = one_an_id(parse_trades(rows(*lines), "BTCUSDT"))
    ids = {trade.trade_id for trade in good}
    assert set(table.trade_id.tolist()) == ids
    assert all(trade in good for trade in trades(table))
    assert table.duplicates + table.reasons["trade_differs"] == len(good) - len(ids)
    assert +(table.reasons - Counter(trade_differs=table.reasons["trade_differs"])) == reasons
    assert table.inexact == inexact


@pytest.mark.parametrize("data", [b"", b"\n\n", b"1,2,3\n", b"id,price\n1,2\n"])
def test_what_is_no_trade_file_is_refused(data: bytes) -> None:
    with pytest.raises(BadData):
        parse_trades(data, "BTCUSDT")


def _file(folder: Path, text: bytes, name: str) -> Path:
    path = folder / name
    path.write_bytes(text if name.endswith(".csv") else zipped({name.replace(".zip", ".csv"): text}))
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.zip"])
@given(rows_each=st.integers(1, 60), percentage=st.floats(0.5, 100))
def test_pieces_are_whole_lines_of_the_first_part(
    tmp_path_factory: pytest.TempPathFactory, name: str, rows_each: int, percentage: float
) -> None:
    path = _file(tmp_path_factory.mktemp("pieces"), TEXT, name)
    found = list(pieces(path, None, rows=rows_each, percentage=percentage))
    text = b"".join(found)
    asked = math.ceil(len(TEXT) * percentage / 100)
    assert TEXT.startswith(text)
    assert len(text) >= asked
    assert text.endswith(b"\n")
    assert text[:-1].rfind(b"\n") + 1 < asked, "no line more than were asked for"
    assert all(piece.count(b"\n") == rows_each for piece in found[:-1])


@pytest.mark.parametrize("name", ["t.csv", "t.zip"])
@pytest.mark.parametrize("rows_each", [1, 7, 1000])
def test_a_file_in_pieces_gives_the_same_trades(tmp_path: Path, name: str, rows_each: int) -> None:
    path = _file(tmp_path, TEXT + b"\n\n", name)
    window = (FIRST_MS, FIRST_MS + 700 * 40)
    tables = list(read_trades(path, None, "BTCUSDT", rows=rows_each, percentage=100, window=window))
    assert [trade for table in tables for trade in trades(table)] == TRADES[:40]
    assert sum(table.lines for table in tables) == 50
    assert sum((table.reasons for table in tables), Counter()) == {"outside_file": 10}


def test_a_file_without_a_good_row_is_refused_whole(tmp_path: Path) -> None:
    path = _file(tmp_path, HEADER.encode() + b"1,0,0,1,1,1,true\n" * 5, "t.csv")
    with pytest.raises(BadData) as caught:
        list(read_trades(path, None, "BTCUSDT", rows=2, percentage=100, window=None))
    assert caught.value.reason == "no_good_rows"


def test_a_member_of_another_name_is_taken_from_files_of_people_only(tmp_path: Path) -> None:
    path = _file(tmp_path, TEXT, "t.zip")
    assert list(pieces(path, "t.csv", rows=100, percentage=100)) == [TEXT]
    with pytest.raises(BadData) as caught:
        list(pieces(path, "other.csv", rows=100, percentage=100))
    assert caught.value.reason == "member_name"
