"""One verified kline file as candles, for comparing; run in a process of its own, because it needs polars."""

from __future__ import annotations

import math
from pathlib import Path

from ....model import DAY_MS, ArchiveFile, Authority, Candle
from .paths import member_name
from .zip import read_member

SOURCE = "binance_archive"


def read_day(local: Path, file: ArchiveFile, start_ms: int) -> list[Candle]:
    """The rows of a daily file that begins at ``start_ms``, in order. Raises ``BadData``."""
    from .klines import parse_klines

    table = parse_klines(
        read_member(local, member_name(file)),
        file.symbol,
        source=SOURCE,
        from_ms=start_ms,
        to_ms=start_ms + DAY_MS,
    )
    candles = []
    for at, open_ms in enumerate(table.open_ms.tolist()):
        cells = {name: float(values[at]) for name, values in table.floats.items()}
        count = int(table.trade_count[at])
        candles.append(
            Candle(
                file.symbol, open_ms, cells["open"], cells["high"], cells["low"], cells["close"], cells["volume"],
                _known(cells["quote_volume"]), None if count < 0 else count, _known(cells["taker_buy_volume"]),
                _known(cells["taker_buy_quote_volume"]), SOURCE, Authority.ARCHIVE,
            )
        )  # fmt: skip
    return candles


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
