"""``marketd aggregate``: builds bars of one symbol in a process of its own, and says how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..adapters.kernels import KernelOptions, KernelPool
from ..analysis.bars.jobs import Aggregate, built_bars
from ..config import Settings
from ..errors import EXIT_OK
from ..telemetry import log
from ..wiring.options import database_options
from . import output
from .context import Context

_INTERRUPTED = 130
_ROLE = "aggregate"
_DEADLINE_S = 7 * 86_400.0


def run(context: Context, wanted: Mapping[str, Any], *, as_json: bool) -> int:
    """Build and print what was built. Returns 130 after Ctrl-C.

    Raises ``ConfigError``, ``Unavailable``, ``Misconfigured`` or ``BadData``.
    """
    settings = context.settings("DATABASE_URL")
    settings.check()
    asked = built_bars(settings.binance_ws_db_exchange).asked(wanted)
    try:
        made = asyncio.run(_build(settings, asked, quiet=as_json))
    except KeyboardInterrupt:
        output.note("stopped: the same command goes on, or begins again where bars are made of candles")
        return _INTERRUPTED
    if as_json:
        output.as_json(made)
    else:
        output.line(summary(made))
    return EXIT_OK


async def _build(settings: Settings, asked: Aggregate, *, quiet: bool) -> Mapping[str, Any]:
    function, arguments = asked.call(settings.binance_ws_db_exchange)
    pool = KernelPool(
        KernelOptions(memory_mb=settings.kernel_memory_mb),
        database_options(settings, log.new_run_id(), _ROLE),
    )

    def noted(text: str, share: float | None) -> None:
        if not quiet:
            output.note(text if share is None else f"{share:4.0%}  {text}")

    try:
        made: Mapping[str, Any] = await pool.run(function, deadline_s=_DEADLINE_S, noted=noted, **arguments)
    finally:
        await pool.close()
    return made


def summary(made: Mapping[str, Any]) -> str:
    """What was built, in one line; pure."""
    until = datetime.fromtimestamp(made["to_ms"] / 1000, UTC)
    size = made["size"] / 60_000 if made["kind"] == "time" else made["size"]
    unit = {"time": " min", "tick": " trades"}.get(made["kind"], "")
    lacking = made.get("skipped_ids", 0)
    return (
        f"{made['bars']} {made['kind']} bars of {size:g}{unit}, {made['symbol']}, up to {until:%Y-%m-%d %H:%M:%S} UTC"
        + (f"; {lacking} trades between are not stored" if lacking else "")
    )
