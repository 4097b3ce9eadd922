"""``marketd symbols --listings``: when each contract traded, as the database knows it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.cells import cell_len, set_cell_size

from ...adapters.timescale.reports.listings import Interval, read_intervals
from ...errors import EXIT_OK
from .. import output
from ..context import Context
from ..coverage.command import reader_options


def run(context: Context, *, as_json: bool) -> int:
    """Print them. Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``."""
    found = asyncio.run(read_intervals(reader_options(context.settings("DATABASE_URL"))))
    if as_json:
        output.as_json([_plain(item) for item in found])
        return EXIT_OK
    width = max((cell_len(item.symbol) for item in found), default=0)
    for item in found:
        output.line(_line(item, width))
    for text in summary(found):
        output.note(text)
    return EXIT_OK


def summary(found: list[Interval]) -> list[str]:
    """What the list holds, in a line or two; pure."""
    if not found:
        return ["no listing is known yet: the daemon (`marketd --all`) notes them as it runs"]
    times = Counter(item.symbol for item in found)
    ended = sum(item.end_ts is not None for item in found)
    again = sum(count > 1 for count in times.values())
    alpha = sum(item.alpha for item in found)
    text = f"{len(found):,} listings of {len(times):,} symbols: {len(found) - ended:,} go on, {ended:,} ended"
    return [f"{text}; {again:,} symbols were listed again; {alpha:,} listings of Alpha tokens"]


def _line(item: Interval, width: int) -> str:
    end = _minute(item.end_ts) if item.end_ts else "-"
    words = [item.contract_type.lower()]
    if item.origin == "archive":
        words.append("known from the archive")
    if item.archive_symbol != item.symbol:
        words.append(f"there as {item.archive_symbol}")
    if item.alpha:
        words.append("alpha")
    symbol = set_cell_size(item.symbol, width)
    return f"{symbol}  {_minute(item.onboard_ts)}  {end:<16}  {item.status:<15} {', '.join(words)}"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _plain(item: Interval) -> dict[str, Any]:
    end = item.end_ts.isoformat() if item.end_ts else None
    return {**asdict(item), "onboard_ts": item.onboard_ts.isoformat(), "end_ts": end}
