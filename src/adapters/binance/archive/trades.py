"""Trade files of the archive, a piece of lines at a time. Imported in worker processes only: it needs polars.

Rows that are as rows should be are taken as whole columns; every other one goes through ``trade_rows`` by
itself, so that a file with one bad row costs one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from ....errors import BadData
from ....model import Trade
from .. import venue
from .counted import CountedRows, Rejected, Row
from .pieces import pieces
from .rows import MICROSECONDS_FROM
from .table import cut
from .trade_rows import COLUMNS, OLDEST_MS, USED, trade_of

_DECIMAL = r"^[0-9]{1,30}(\.[0-9]{1,30})?$"
_INTEGER = r"^[0-9]{1,18}$"
_EXACT_CHARS = venue.SIGNIFICANT_DIGITS + 1
_ALIASES = {
    "a": "agg_trade_id",
    "aggregate_tradeid": "agg_trade_id",
    "aggregate_trade_id": "agg_trade_id",
    "first_tradeid": "first_trade_id",
    "last_tradeid": "last_trade_id",
    "timestamp": "transact_time",
    "was_the_buyer_the_maker": "is_buyer_maker",
}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(slots=True)
class TradeTable(CountedRows):
    """Trades of one piece, as they stand in the file or, after ``one_an_id``, in order."""

    trade_id: npt.NDArray[np.int64]
    ts_ms: npt.NDArray[np.int64]
    price: npt.NDArray[np.float64]
    quantity: npt.NDArray[np.float64]
    is_buyer_maker: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.trade_id)

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Self:
        return replace(
            self,
            trade_id=self.trade_id[rows],
            ts_ms=self.ts_ms[rows],
            price=self.price[rows],
            quantity=self.quantity[rows],
            is_buyer_maker=self.is_buyer_maker[rows],
        )

    def time_ms(self, at: int) -> int:
        return int(self.ts_ms[at])

    def places(self, cuts: Sequence[int]) -> npt.NDArray[np.intp]:
        """How many of ``cuts``, in order, lie at or before each trade: which listing of its symbol it belongs to."""
        return np.searchsorted(np.array(cuts, np.int64), self.ts_ms, side="right")

    def text(self, at: int) -> str:
        """A row as ``id,price,quantity,time,is_buyer_maker``."""
        columns = (self.trade_id, self.price, self.quantity, self.ts_ms, self.is_buyer_maker)
        return ",".join(str(column[at]) for column in columns)


def read_trades(
    path: Path, name: str | None, symbol: str, *, rows: int, percentage: float, window: tuple[int, int] | None
) -> Iterator[TradeTable]:
    """The trades of a file as they stand there, ``rows`` lines at a time; those outside of ``window`` [from, to) are
    refused.

    Raises ``BadData`` for a file that cannot be read, when it comes to that, and for one without a good row.
    """
    header, good, lines = b"", 0, 0
    for number, piece in enumerate(pieces(path, name, rows=rows, percentage=percentage)):
        if number == 0:
            first = piece.removeprefix(_BYTE_ORDER_MARK).partition(b"\n")[0]
            header = b"" if first[:1].isdigit() else first + b"\n"
        elif not piece.strip():
            continue
        table = parse_trades(piece if number == 0 else header + piece, symbol)
        good, lines = good + len(table), lines + table.lines
        if window is not None:
            inside = (table.ts_ms >= window[0]) & (table.ts_ms < window[1])
            table = table.refuse(inside, "outside_file", "not of the day or month in the file's name")
        yield table
    if not good:
        raise BadData(f"none of {lines} rows is usable", reason="no_good_rows")


def parse_trades(data: bytes, symbol: str) -> TradeTable:
    """The rows of one text, with header or without, as they come; ``one_an_id`` puts them in order.

        agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker
        1000,43000.10,0.5,2000,2003,1769904000123,true

    Raises ``BadData``: ``empty``, ``columns``.
    """
    table = cut(data, COLUMNS, _ALIASES, needed=len(COLUMNS))
    rows = _strings(table.body, [table.places[name] for name in USED])
    values = _values(rows)
    good = values["good"].to_numpy()
    found = _columns(values.filter(pl.col("good")))
    found.lines = len(rows) + len(table.odd)
    for line in table.odd:
        found.note(Rejected("columns", f"not {table.width} columns", line))
    if not good.all():
        found = _with_trades(found, _one_by_one(found, rows.filter(~values["good"]), symbol))
    return found


def _strings(body: bytes, places: list[int]) -> pl.DataFrame:
    if not body:
        return pl.DataFrame({name: [] for name in USED}, schema=dict.fromkeys(USED, pl.String))
    frame = pl.read_csv(body, has_header=False, infer_schema=False, quote_char=None, encoding="utf8-lossy")
    return frame.select(pl.nth(place).alias(name) for name, place in zip(USED, places, strict=True))


def _values(rows: pl.DataFrame) -> pl.DataFrame:
    """Every cell as a value, and whether the row is one that needs no second look."""
    time = pl.col("transact_time").cast(pl.Int64, strict=False)
    flag = pl.col("is_buyer_maker").str.to_lowercase()
    longest = pl.max_horizontal(pl.col(name).str.len_bytes() for name in ("price", "quantity"))
    written = pl.all_horizontal(
        [pl.col(name).str.contains(_INTEGER) for name in ("agg_trade_id", "transact_time")]
        + [pl.col(name).str.contains(_DECIMAL) for name in ("price", "quantity")]
        + [flag.is_in(["true", "false"]), longest <= _EXACT_CHARS]
    )
    values = rows.select(
        pl.col("agg_trade_id").cast(pl.Int64, strict=False),
        pl.col("price").cast(pl.Float64, strict=False),
        pl.col("quantity").cast(pl.Float64, strict=False),
        pl.when(time >= MICROSECONDS_FROM).then(time // 1000).otherwise(time).alias("ts_ms"),
        (flag == "true").alias("is_buyer_maker"),
        written.alias("written"),
    )
    fits = (
        pl.col("written")
        & pl.col("ts_ms").is_between(OLDEST_MS, venue.NEWEST_OPEN_MS)
        & (pl.col("price") > 0)
        & (pl.col("quantity") > 0)
    )
    return values.with_columns(fits.fill_null(value=False).alias("good"))


def _columns(values: pl.DataFrame) -> TradeTable:
    return TradeTable(
        values["agg_trade_id"].to_numpy(),
        values["ts_ms"].to_numpy(),
        values["price"].to_numpy(),
        values["quantity"].to_numpy(),
        values["is_buyer_maker"].to_numpy().astype(np.bool_),
    )


def _one_by_one(found: TradeTable, rows: pl.DataFrame, symbol: str) -> list[Trade]:
    """The usable ones of rows that are not as they should be; the others are noted in ``found``."""

    def read(cells: Row) -> tuple[Trade, tuple[str, ...]]:
        parsed = trade_of(symbol, cells)
        return parsed.trade, parsed.inexact

    return found.usable(rows.iter_rows(), read)


def _with_trades(found: TradeTable, trades: list[Trade]) -> TradeTable:
    """The table with single trades after its rows."""
    if not trades:
        return found
    flags = np.array([trade.is_buyer_maker for trade in trades], np.bool_)
    return replace(
        found,
        trade_id=np.concatenate([found.trade_id, np.array([trade.trade_id for trade in trades], np.int64)]),
        ts_ms=np.concatenate([found.ts_ms, np.array([trade.ts_ms for trade in trades], np.int64)]),
        price=np.concatenate([found.price, np.array([trade.price for trade in trades], np.float64)]),
        quantity=np.concatenate([found.quantity, np.array([trade.quantity for trade in trades], np.float64)]),
        is_buyer_maker=np.concatenate([found.is_buyer_maker, flags]),
    )


def one_an_id(found: TradeTable, cuts: Sequence[int] = ()) -> TradeTable:
    """By listing and id; of the trades of one listing with one id the first. What says something else is noted.

    ``cuts`` are where the symbol was listed again, in order, UTC milliseconds.
    """
    places = found.places(cuts)
    if not places.any() and (np.diff(found.trade_id) > 0).all():
        return found
    order = np.lexsort((found.trade_id, places))
    ordered, places = found.take(order), places[order]
    again = np.concatenate([[False], (np.diff(ordered.trade_id) == 0) & (np.diff(places) == 0)])
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(again))))
    columns = (ordered.ts_ms, ordered.price, ordered.quantity, ordered.is_buyer_maker)
    differs = again & np.logical_or.reduce([column != column[first] for column in columns])
    ordered.duplicates += int((again & ~differs).sum())
    kept = ordered.refuse(~differs, "trade_differs", "another trade of the file has this id")
    return kept.take(~again[~differs])
