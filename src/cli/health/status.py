"""``marketd status``: what the daemon and the database say, as far as each can be asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from ...adapters.timescale.reports.inspection import inspect
from ...adapters.timescale.reports.work import inspect_work
from ...analysis.schedules import Schedule
from ...config import Settings
from ...errors import EXIT_FAILURE, EXIT_OK, ConfigError, MarketdError
from .. import output
from ..context import Context
from .daemon_http import ask, base_url
from .status_view import table
from .work_view import work_rows


def run(context: Context, *, as_json: bool, stale: int) -> int:
    """Print the table or the JSON document; 0 if the daemon is ready. Raises ``ConfigError``."""
    settings = context.settings()
    report = {"daemon": ask_daemon(settings), "database": ask_database(settings, stale)}
    report["work"] = ask_work(settings, report["database"])
    if as_json:
        output.as_json(report)
    else:
        output.pairs([*table(report), *work_rows(report["work"], datetime.now(UTC))])
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
    return _asked(_database(url, settings, stale))


def ask_work(settings: Settings, database: dict[str, Any]) -> dict[str, Any]:
    """What tasks and what they work on are at, and when schedules are due next; ``{"error": why}`` if not asked."""
    url = settings.reader_url()
    if url is None or "error" in database:
        return {"error": "the database is not asked"}
    if database["pending_migrations"]:
        return {"error": "migrations are pending"}
    found = _asked(inspect_work(url, settings.kline_db_schema, settings.binance_ws_db_exchange))
    return found if "error" in found else {**found, "next_runs": next_runs(settings, datetime.now(UTC))}


def next_runs(settings: Settings, now: datetime) -> list[dict[str, str]]:
    """When each schedule is due, the soonest first."""
    now_ms = round(now.timestamp() * 1000)
    due = sorted(
        (Schedule(name, cron).next_ms(now_ms), name, cron) for name, cron in settings.schedules.items()
    )
    return [
        {"schedule": name, "cron": cron, "at": datetime.fromtimestamp(ms / 1000, UTC).isoformat()}
        for ms, name, cron in due
    ]


async def _database(url: str, settings: Settings, stale: int) -> dict[str, Any]:
    found = await inspect(url, settings.kline_db_schema, settings.binance_ws_db_exchange)
    return found.as_dict(stale=stale)


def _asked(asking: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    try:
        return asyncio.run(asking)
    except ConfigError as error:
        return {"error": "; ".join(error.problems)}
    except MarketdError as error:
        return {"error": str(error)}
