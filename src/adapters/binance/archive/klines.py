"""A kline file of the archive, all rows at once. Imported in worker processes only: it needs polars.

Rows that are as rows should be are taken as whole columns; every other one goes through ``rows`` by itself,
so that a file with one bad row costs one row, and a file of bad rows only time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from ....errors import BadData
from ....model import MINUTE_MS, Authority, Candle
from .. import venue
from ..parse.messages import ROUNDING
from .counted import CountedRows, Rejected, Row
from .rows import COLUMNS, MICROSECONDS_FROM, candle_of
from .table import Table, cut

FLOATS = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "taker_buy_volume",
    "taker_buy_quote_volume",
)
_DECIMAL = r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$"
_INTEGER = r"^[0-9]{1,18}$"
_EXACT_CHARS = venue.SIGNIFICANT_DIGITS + 1
_ALIASES = {
    "number_of_trades": "count",
    "trades": "count",
    "quote_asset_volume": "quote_volume",
    "taker_buy_base_asset_volume": "taker_buy_volume",
    "taker_buy_quote_asset_volume": "taker_buy_quote_volume",
}


@dataclass(slots=True)
class KlineTable(CountedRows):
    """The rows of one file, one a minute, in order.

    ``floats`` by name, NaN for NULL; ``trade_count`` is -1 for NULL.
    """

    open_ms: npt.NDArray[np.int64]
    floats: dict[str, npt.NDArray[np.float64]]
    trade_count: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.open_ms)

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Self:
        floats = {name: values[rows] for name, values in self.floats.items()}
        return replace(self, open_ms=self.open_ms[rows], floats=floats, trade_count=self.trade_count[rows])

    def time_ms(self, at: int) -> int:
        return int(self.open_ms[at])

    def text(self, at: int) -> str:
        """A row as ``open_time,open,…,count``."""
        values = (self.open_ms[at], *(self.floats[name][at] for name in FLOATS), self.trade_count[at])
        return ",".join(str(value) for value in values)


def parse_klines(data: bytes, symbol: str, *, source: str, from_ms: int, to_ms: int) -> KlineTable:
    """The rows of a file that holds [from_ms, to_ms), UTC milliseconds.

        open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore
        1769904000000,1.546,1.547,1.544,1.546,74137.9,1769904059999,114567.0308,340,27722.5,42850.8697,0

    Of several rows for a minute the one of largest rank stays. Raises ``BadData`` for a file without one good row:
    ``empty``, ``columns``, ``no_good_rows``.
    """
    table = cut(data, COLUMNS, _ALIASES)
    rows = _strings(table)
    values = _values(rows)
    good = values["good"].to_numpy()
    found = _columns(values.filter(pl.col("good")))
    found.lines = len(rows) + len(table.odd)
    for line in table.odd:
        found.note(Rejected("columns", f"not {table.width} columns", line))
    if not good.all():
        found = _with_candles(found, _one_by_one(found, rows.filter(~values["good"]), symbol, source))
    found = _one_row_a_minute(found, symbol, source)
    if not len(found):
        raise BadData(f"none of {found.lines} rows is usable: {dict(found.reasons)}", reason="no_good_rows")
    inside = (found.open_ms >= from_ms) & (found.open_ms < to_ms)
    return found.refuse(inside, "outside_file", "the minute is not of the day or month in the file's name")


def _strings(table: Table) -> pl.DataFrame:
    if not table.body:
        return pl.DataFrame({name: [] for name in COLUMNS}, schema=dict.fromkeys(COLUMNS, pl.String))
    frame = pl.read_csv(
        table.body,
        has_header=False,
        infer_schema=False,
        quote_char=None,
        encoding="utf8" if table.plain else "utf8-lossy",
    )
    rows = frame.select(pl.nth(table.places[name]).alias(name) for name in COLUMNS)
    return rows if table.plain else rows.with_columns(_only_plain(name) for name in COLUMNS)


def _only_plain(name: str) -> pl.Expr:
    """The cell with a mark before it where it is no number in the venue's way, so that no parser takes it for one."""
    is_whole = name in ("open_time", "close_time", "count")
    matches = pl.col(name).str.contains(_INTEGER if is_whole else _DECIMAL)
    return pl.when(matches).then(pl.col(name)).otherwise("?" + pl.col(name)).alias(name)


def _values(rows: pl.DataFrame) -> pl.DataFrame:
    """Every cell as a number, and whether the row is one that needs no second look."""
    times = [_milliseconds(name) for name in ("open_time", "close_time")]
    floats = [(pl.col(name).cast(pl.Float64, strict=False) + 0.0).alias(name) for name in FLOATS]
    count = pl.col("count").cast(pl.Int64, strict=False)
    longest = pl.max_horizontal(pl.col(name).str.len_bytes() for name in FLOATS)
    values = rows.select(*times, *floats, count, (longest <= _EXACT_CHARS).alias("exact"))
    return values.with_columns(_is_good().fill_null(value=False).alias("good"))


def _milliseconds(name: str) -> pl.Expr:
    time = pl.col(name).cast(pl.Int64, strict=False)
    return pl.when(time >= MICROSECONDS_FROM).then(time // 1000).otherwise(time).alias(name)


def _is_good() -> pl.Expr:
    opened, volume, taker = pl.col("open_time"), pl.col("volume"), pl.col("taker_buy_volume")
    body_low, body_high = pl.min_horizontal("open", "close"), pl.max_horizontal("open", "close")
    return (
        pl.col("exact")
        & opened.is_between(venue.OLDEST_OPEN_MS, venue.NEWEST_OPEN_MS)
        & (opened % MINUTE_MS == 0)
        & (pl.col("close_time") == opened + (MINUTE_MS - 1))
        & pl.all_horizontal(pl.col(name).is_finite() for name in FLOATS)
        & (pl.col("low") > 0)
        & (pl.col("low") <= body_low)
        & (pl.col("high") >= body_high)
        & (taker >= 0)
        & (taker <= volume)
        & (pl.col("taker_buy_quote_volume") >= 0)
        & (pl.col("taker_buy_quote_volume") <= pl.col("quote_volume") * ROUNDING)
        & (pl.col("count") >= 0)
    )


def _columns(values: pl.DataFrame) -> KlineTable:
    return KlineTable(
        open_ms=values["open_time"].to_numpy(),
        floats={name: values[name].to_numpy() for name in FLOATS},
        trade_count=values["count"].to_numpy(),
    )


def _one_by_one(found: KlineTable, rows: pl.DataFrame, symbol: str, source: str) -> list[Candle]:
    """The usable ones of rows that are not as they should be; the others are noted in ``found``."""

    def read(cells: Row) -> tuple[Candle, tuple[str, ...]]:
        parsed = candle_of(symbol, cells, source=source)
        return parsed.candle, parsed.inexact

    plain = (tuple(cell.removeprefix("?") if cell else cell for cell in row) for row in rows.iter_rows())
    return found.usable(plain, read)


def _with_candles(found: KlineTable, candles: Sequence[Candle]) -> KlineTable:
    """The table with single candles after its rows."""
    if not candles:
        return found
    open_ms = np.array([candle.open_ms for candle in candles], np.int64)
    counts = np.array([-1 if c.trade_count is None else c.trade_count for c in candles], np.int64)
    floats = {name: np.array([getattr(c, name) for c in candles], np.float64) for name in FLOATS}
    return replace(
        found,
        open_ms=np.concatenate([found.open_ms, open_ms]),
        floats={name: np.concatenate([values, floats[name]]) for name, values in found.floats.items()},
        trade_count=np.concatenate([found.trade_count, counts]),
    )


def _one_row_a_minute(found: KlineTable, symbol: str, source: str) -> KlineTable:
    """In order, and of several rows for a minute the one of largest rank (docs/adr/0003-which-row-wins.md)."""
    steps = np.diff(found.open_ms)
    if (steps > 0).all():
        return found
    ordered = found.take(np.argsort(found.open_ms, kind="stable"))
    first = np.concatenate([[True], np.diff(ordered.open_ms) > 0])
    best = np.flatnonzero(first)
    groups = np.cumsum(first) - 1
    for at in np.flatnonzero(~first):
        group = groups[at]
        if _rank(ordered, at, symbol, source) > _rank(ordered, best[group], symbol, source):
            best[group] = at
    ordered.duplicates += int((~first).sum())
    return ordered.take(best)


def _rank(table: KlineTable, at: np.intp, symbol: str, source: str) -> tuple[float | int | str, ...]:
    return candle_at(table, int(at), symbol, source).rank


def candle_at(table: KlineTable, at: int, symbol: str, source: str) -> Candle:
    """One row as a candle, NULLs as ``None``."""
    values = {name: float(column[at]) for name, column in table.floats.items()}
    optional = ("quote_volume", "taker_buy_volume", "taker_buy_quote_volume")
    known: dict[str, float | None] = {
        name: None if np.isnan(values[name]) else values[name] for name in optional
    }
    trades = int(table.trade_count[at])
    return Candle(
        symbol=symbol,
        open_ms=int(table.open_ms[at]),
        open=values["open"],
        high=values["high"],
        low=values["low"],
        close=values["close"],
        volume=values["volume"],
        quote_volume=known["quote_volume"],
        trade_count=None if trades < 0 else trades,
        taker_buy_volume=known["taker_buy_volume"],
        taker_buy_quote_volume=known["taker_buy_quote_volume"],
        source=source,
        authority=Authority.ARCHIVE,
    )
