"""``marketd alpha``: the Binance Alpha tokens as the venue last listed them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from ...adapters.timescale.alpha_store import read_tokens
from ...errors import EXIT_FAILURE, EXIT_OK
from .. import output
from ..context import Context
from ..coverage.command import reader_options


def run(context: Context, *, as_json: bool) -> int:
    """Print the list. Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``; ends with 1 while there is none."""
    tokens = asyncio.run(read_tokens(reader_options(context.settings("DATABASE_URL"))))
    if as_json:
        output.as_json([plain(token) for token in tokens])
    else:
        for text in table(tokens):
            output.line(text)
    if not tokens:
        output.note("no list yet; the daemon reads it every 6 h while --metrics or --all is given")
        return EXIT_FAILURE
    refreshed = max(token["refreshed_at"] for token in tokens)
    output.note(f"{len(tokens)} tokens, refreshed {refreshed:%Y-%m-%d %H:%M} UTC")
    return EXIT_OK


def table(tokens: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line a token: id, symbol, chain, price, contracts, name; pure."""
    rows = [
        (
            token["alpha_id"],
            token["symbol"],
            token["chain_id"],
            "-" if token["price"] is None else f"{token['price']:f}",
            ",".join(token["contracts"]) or "-",
            token["name"] + (" (offline)" if token["offline"] else ""),
        )
        for token in tokens
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(5)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]])
        for row in rows
    ]


def plain(token: Mapping[str, Any]) -> dict[str, object]:
    """The token as JSON has it: amounts as decimal text, times in ISO 8601; pure."""
    return {name: _plain(value) for name, value in token.items()}


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, datetime) else value
