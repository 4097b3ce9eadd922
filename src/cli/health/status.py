"""``marketd status``: what the daemon and the database say, as far as each can be asked."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ...adapters.timescale.reports.inspection import inspect
from ...config import Settings
from ...errors import EXIT_FAILURE, EXIT_OK, ConfigError, MarketdError
from .. import output
from ..context import Context
from .daemon_http import ask, base_url
from .status_view import table


def run(context: Context, *, as_json: bool, stale: int) -> int:
    """Print the table or the JSON document; 0 if the daemon is ready. Raises ``ConfigError``."""
    settings = context.settings()
    report = {"daemon": ask_daemon(settings), "database": ask_database(settings, stale)}
    if as_json:
        output.as_json(report)
    else:
        output.pairs(table(report))
    return EXIT_OK if report["daemon"].get("ready") else EXIT_FAILURE


def ask_daemon(settings: Settings) -> dict[str, Any]:
    """The answer of ``/status``, or ``{"error": why}``."""
    answer = ask(settings, "/status")
    if answer.code == 0:
        return {"error": f"no daemon answers on {base_url(settings)} ({answer.text})"}
    try:
        content: dict[str, Any] | None = json.loads(answer.text)
    except ValueError:
        content = None
    if not answer.ok or not isinstance(content, dict) or "run_id" not in content:
        return {"error": f"{base_url(settings)} answers {answer.code}, and not as marketd does"}
    return content


def ask_database(settings: Settings, stale: int) -> dict[str, Any]:
    """What the tables say, or ``{"error": why}``."""
    url = settings.reader_url()
    if url is None:
        return {"error": "DATABASE_URL is not set"}
    try:
        found = asyncio.run(inspect(url, settings.kline_db_schema, settings.binance_ws_db_exchange))
    except ConfigError as error:
        return {"error": "; ".join(error.problems)}
    except MarketdError as error:
        return {"error": str(error)}
    return found.as_dict(stale=stale)
