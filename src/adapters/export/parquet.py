"""Parquet files of the exported tables. Imports polars, so it is for commands only, never for the daemon's process.

Numbers of PostgreSQL's type ``numeric`` are text in the files: no type of Parquet holds all of their digits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from .manifest import ExportedFile, sha256_of

_LEVEL = 3
"""Of zstd: a third larger than what ten times the work leaves."""

_FLOATS = ("open", "high", "low", "close", "volume", "quote_volume")
_RATIOS = (
    "sum_open_interest",
    "sum_open_interest_value",
    "count_toptrader_long_short_ratio",
    "sum_toptrader_long_short_ratio",
    "count_long_short_ratio",
    "sum_taker_long_short_vol_ratio",
)
_FUNDING = ("funding_rate", "mark_price", "interval_hours")
_WHO: dict[str, type[pl.DataType]] = {"exchange": pl.String, "symbol": pl.String}
_ORIGIN: dict[str, type[pl.DataType]] = {"source": pl.String, "authority": pl.Int16}


@dataclass(frozen=True, slots=True)
class Form:
    """The columns of a dataset in the order of ``sql/queries/export.sql``; ``time`` is in microseconds there."""

    time: str | None
    columns: dict[str, type[pl.DataType]]


FORMS: dict[str, Form] = {
    "instruments": Form(
        None,
        dict.fromkeys(
            (
                "exchange", "symbol", "onboard_ts", "end_ts", "contract_type", "status", "base", "quote",
                "delivery_ts", "tick_size", "step_size", "archive_symbol", "origin",
            ),
            pl.String,
        ),
    ),
    "candles_1m": Form(
        "bucket_ts",
        _WHO
        | {"bucket_ts": pl.Int64}
        | dict.fromkeys(_FLOATS, pl.Float64)
        | {"trade_count": pl.Int64, "taker_buy_volume": pl.Float64, "taker_buy_quote_volume": pl.Float64}
        | _ORIGIN
        | {"revision": pl.Int32},
    ),
    "metrics_5m": Form(
        "create_time",
        _WHO
        | {"create_time": pl.Int64}
        | dict.fromkeys(_RATIOS, pl.String)
        | {f"{name}_rank": pl.Int16 for name in _RATIOS}
        | _ORIGIN,
    ),
    "funding": Form(
        "funding_time",
        _WHO
        | {"funding_time": pl.Int64}
        | {"funding_rate": pl.String, "mark_price": pl.String, "interval_hours": pl.Int16}
        | {f"{name}_rank": pl.Int16 for name in _FUNDING}
        | _ORIGIN,
    ),
    "agg_trades": Form(
        "ts",
        _WHO
        | {
            "trade_id": pl.Int64,
            "ts": pl.Int64,
            "price": pl.Float64,
            "quantity": pl.Float64,
            "is_buyer_maker": pl.Int8,
        },
    ),
}  # fmt: skip
"""By the names of the datasets, in the order in which they are read back: trades need to know of listings."""


def write(
    folder: Path,
    path: str,
    dataset: str,
    csv: bytes,
    *,
    older: Sequence[Path] = (),
    end: datetime | None = None,
) -> ExportedFile:
    """Write rows that PostgreSQL said as CSV; the file appears under its name when it is whole and on the disk.

    Rows of the files ``older`` from before ``end`` are kept where CSV has none of their times.
    """
    form = FORMS[dataset]
    frame = pl.read_csv(
        csv, has_header=False, new_columns=list(form.columns), schema_overrides=list(form.columns.values())
    )
    if form.time is not None:
        frame = frame.with_columns(pl.col(form.time).cast(pl.Datetime("us", "UTC")))
        if older and end is not None:
            before = pl.concat([pl.read_parquet(one, columns=frame.columns) for one in older])
            before = before.filter(pl.col(form.time) < end).join(frame, on=form.time, how="anti")
            frame = pl.concat([before, frame]).sort(form.time)
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    frame.write_parquet(part, compression="zstd", compression_level=_LEVEL)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    told = ExportedFile(path, len(frame), part.stat().st_size, sha256_of(part))
    part.replace(target)
    return told


def rows(path: Path, dataset: str, at_once: int) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a file, some at a time, without exchange and symbol in front; times are in UTC microseconds."""
    form = FORMS[dataset]
    frame = pl.read_parquet(path, columns=list(form.columns)[1 if form.time is None else 2 :])
    if form.time is not None:
        frame = frame.with_columns(pl.col(form.time).cast(pl.Int64))
    for part in frame.iter_slices(at_once):
        yield part.rows()
