"""The task ``CollectBinance``: one file of trades, from a person's folder or the archive, into ``agg_trades``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from pydantic import Field

from ..ports.trades import TradeCollector
from .jobs import Context, Kind, Parameters

_DEADLINE_S = 4 * 3600.0
"""A month of the busiest symbol: some sixty million trades."""


class CollectParameters(Parameters):
    """``label`` names a day or a month (``2026-11-25``, ``2026-11``); without it the newest file is taken.

    ``import_percentage`` is of the file's bytes, from its beginning; ``chunk_size`` are lines of one transaction.
    """

    symbol: str = Field(min_length=1, max_length=64)
    """Whose trades, ETHUSDT for example."""
    market: Literal["spot", "futures"] = "spot"
    """Of which market."""
    label: str | None = None
    """The file of a day (2026-11-25) or a month (2026-11); left empty, the newest."""
    import_percentage: float = Field(100.0, gt=0, le=100)
    """How much of the file is imported, from its beginning."""
    chunk_size: int = Field(100_000, ge=1000, le=1_000_000)
    """Lines that are stored in one transaction."""


def kind(source: TradeCollector) -> Kind[CollectParameters]:
    """The kind of task, with whoever fetches and imports."""
    return Kind(
        "CollectBinance",
        CollectParameters,
        partial(_run, source),
        lambda asked: f"{asked.market}/{asked.symbol}",
        deadline_s=_DEADLINE_S,
        about="imports the newest file of a symbol's trades from COLLECT_DIR, else from the archive",
    )


async def _run(source: TradeCollector, context: Context, asked: CollectParameters) -> Mapping[str, Any]:
    collected = await source.collect(
        asked.symbol,
        asked.market,
        label=asked.label,
        percentage=asked.import_percentage,
        piece_rows=asked.chunk_size,
        tell=context.tell,
    )
    result = collected.result
    return {"file": collected.file, "inserted": result.inserted, "unchanged": result.unchanged}
