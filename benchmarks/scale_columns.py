"""The part of ``scale`` about columns: bytes of real candles and trades in Parquet, as ``marketd export`` writes it.

Needs the real data of ``MARKETD_TEST_DATA``.
"""

from __future__ import annotations

import gzip
import io
import json

import polars as pl

from benchmarks.storage import real_months
from tests.fixtures.data import data_folder

_LEVEL = 3
"""zstd's, as in ``src.adapters.export.parquet``."""


def column_bytes() -> dict[str, object]:
    """{candles, trades: {rows, bytes_per_row}}."""
    return {"candles": _candles(), "trades": _trades()}


def _candles() -> dict[str, object]:
    rows = size = 0
    for symbol, candles in real_months():
        values = [(candle.open_ms, *candle.values) for candle in candles]
        names = ["ts", "open", "high", "low", "close", "volume", "quote", "trades", "taker", "taker_quote"]
        frame = pl.DataFrame(values, schema=names, orient="row").with_columns(
            symbol=pl.lit(symbol), source=pl.lit("binance_archive"), authority=pl.lit(3)
        )
        rows, size = rows + len(frame), size + _size(frame)
    return {"rows": rows, "bytes_per_row": round(size / rows, 1)}


def _trades() -> dict[str, object]:
    [path] = (data_folder() / "trades").glob("*-aggTrades.json.gz")
    trades = json.loads(gzip.decompress(path.read_bytes()))
    frame = pl.DataFrame(
        {
            "trade_id": [int(one[1]) for one in trades],
            "ts": [int(one[0]) for one in trades],
            "price": [float(one[4]) for one in trades],
            "quantity": [float(one[5]) for one in trades],
            "is_buyer_maker": [one[3] == "sell" for one in trades],
        }
    ).with_columns(symbol=pl.lit(path.name.split("-")[0]))
    return {"rows": len(frame), "bytes_per_row": round(_size(frame) / len(frame), 1)}


def _size(frame: pl.DataFrame) -> int:
    file = io.BytesIO()
    frame.write_parquet(file, compression="zstd", compression_level=_LEVEL)
    return file.tell()
