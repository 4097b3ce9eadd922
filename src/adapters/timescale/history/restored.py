"""Puts listings of an export back; what is known here already stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..queries import query
from ..sessions.shared import SharedSession

_COLUMNS = (
    "symbol", "onboard_ts", "end_ts", "contract_type", "status", "base", "quote", "delivery_ts", "tick_size",
    "step_size", "archive_symbol", "origin",
)  # fmt: skip


async def put_instruments(session: SharedSession, rows: Sequence[Sequence[Any]]) -> int:
    """Add the listing intervals that are not known; how many. Rows are texts in the order of the export."""
    columns = dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    given = {"exchange": session.exchange, **columns}
    return len(await session.rows(query("export", "put_instruments"), given)) if rows else 0
