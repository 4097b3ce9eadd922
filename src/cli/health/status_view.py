"""The table of ``marketd status``: from the two reports to words a person understands; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

_MINUTE = 60

Rows = list[tuple[str, str]]
Report = dict[str, Any]


def table(report: Report, now: datetime | None = None) -> Rows:
    """Label and text of each line; what could not be asked is one line that says why."""
    now = now or datetime.now(UTC)
    daemon, database = report["daemon"], report["database"]
    rows = [("daemon", f"not asked: {daemon['error']}")] if "error" in daemon else _daemon(daemon, now)
    if "error" in database:
        return [*rows, ("database", f"not asked: {database['error']}")]
    return rows + _database(database, now)


def _daemon(daemon: Report, now: datetime) -> Rows:
    rows = [
        ("daemon", "ready" if daemon["ready"] else f"NOT READY: {'; '.join(daemon['not_ready_reasons'])}"),
        ("runs", f"{', '.join(daemon['runs'])}, version {daemon['version']}, pid {daemon['pid']}"),
        ("since", _moment(daemon["since"], now)),
        ("data", _freshness(daemon["data"])),
        ("symbols", _counts(daemon["symbols"], "expected", "subscribed", "stale", "quiet")),
        ("connections", _connections(daemon["connections"])),
        ("buffer", f"{daemon['buffer']['rows']:,} of {daemon['buffer']['capacity_rows']:,} rows"),
        ("rows", _counts(daemon["rows"], "received", "committed", "deduped", "rejected", "dropped")),
        ("holes", f"{daemon['gap_minutes_open']:,.0f} minutes of the last 25 h known to be missing"),
        (
            "clock",
            f"the exchange is {daemon['clock_offset_seconds']:+.3f} s from this computer{_speed(daemon)}",
        ),
    ]
    if tasks := daemon.get("tasks"):
        rows.append(("tasks here", _counts(tasks, *tasks)))
    if budget := daemon["budget"]:
        rows.append(("weight", _budget(budget)))
    return rows


def _freshness(data: Report) -> str:
    if data["age_seconds"] is None:
        return "no candle stored yet"
    takes = "takes writes" if data["database_writable"] else "does NOT take writes"
    return f"newest stored minute ended {age(data['age_seconds'])} ago; the database {takes}"


def _connections(states: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in states.items() if count) or "none"


def _speed(daemon: Report) -> str:
    return "" if daemon["speed"] == 1 else f"; venue time runs {daemon['speed']:g} times as fast"


def _budget(budget: Report) -> str:
    text = f"{budget['used']:,} of {budget['limit']:,} used in this minute"
    if budget["waiting"]:
        text += f", {budget['waiting']} requests wait"
    if budget["ban_until"]:
        text += f"; BANNED until {budget['ban_until']}"
    return text


def _database(database: Report, now: datetime) -> Rows:
    server = database["server"]
    rows = [("database", _server(server))]
    if database["pending_migrations"]:
        names = ", ".join(database["pending_migrations"])
        return [*rows, ("tables", f"PENDING migrations: {names}; run `marketd migrate`")]
    if database["missing_rights"]:
        rows.append(("rights", f"MISSING: {', '.join(database['missing_rights'])}"))
    rows.append(("lock", _holder(database["lock_holder"], now)))
    rows.append(("stored", _stored(database, now)))
    if database["stale_symbols"]:
        rows.append(("stale", _stale(database)))
    if lost := database["last_24h"]:
        rows.append(("last 24 h", _counts(lost, "rejected_rows", "lost_minutes", "overwritten_candles")))
    rows.append(("last runs", "\n".join(_runs(database["runs"])[:3]) or "none"))
    return rows


def _server(server: Report) -> str:
    extension = f"TimescaleDB {server['timescaledb']} ({server['edition']} edition)"
    if server["timescaledb"] is None:
        extension = "WITHOUT TimescaleDB"
    size = f"{server['size_bytes'] / 1e6:,.0f} MB"
    return f"{server['database']}, {size}, PostgreSQL {server['postgresql']}, {extension}"


def _holder(holder: Report | None, now: datetime) -> str:
    if holder is None:
        return "free: no daemon writes"
    who = f"pid {holder['pid']} on {holder['host']}" if holder["pid"] else f"a session from {holder['host']}"
    return f"{who}, since {_moment(holder['since'], now)}" if holder["since"] else who


def _stored(database: Report, now: datetime) -> str:
    if database["newest_minute"] is None:
        return "no candle in the last 24 h"
    fresh = database["symbols"] - database["stale_symbols"]
    return f"{fresh:,} of {database['symbols']:,} symbols up to {_moment(database['newest_minute'], now)}"


def _stale(database: Report) -> str:
    shown = [f"{symbol} ({str(since)[11:16]})" for symbol, since in database["stalest"].items()]
    more = database["stale_symbols"] - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _runs(runs: Sequence[Report]) -> list[str]:
    """A line for each process, the newest first: each of its roles has a row."""
    by_process: dict[object, list[Report]] = {}
    for run in runs:
        by_process.setdefault(run["run_id"], []).append(run)
    return [_process(rows) for rows in by_process.values()]


def _process(rows: Sequence[Report]) -> str:
    roles = ", ".join(sorted({row["role"] for row in rows}))
    first = min(rows, key=lambda row: datetime.fromisoformat(row["started_at"]))
    began = f"{_stamp(first['started_at'])} pid {first['pid']} on {first['host']} ({roles})"
    if all(row["stopped_at"] for row in rows):
        last = max((row["stopped_at"] for row in rows), key=datetime.fromisoformat)
        return f"{began}, ended by itself {_stamp(last)}"
    return f"{began}, running or killed"


def _counts(values: Report, *names: str) -> str:
    return ", ".join(f"{values[name]:,.0f} {name.replace('_', ' ')}" for name in names)


def _moment(text: str, now: datetime) -> str:
    seconds = (now - parse(text)).total_seconds()
    return f"{_stamp(text)} UTC ({age(seconds)} ago)"


def _stamp(text: str) -> str:
    return f"{parse(text):%Y-%m-%d %H:%M:%S}"


def parse(text: str) -> datetime:
    """A time of a report, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def age(seconds: float) -> str:
    """``42 s``, ``5 min``, ``3 h 12 min``, ``4 d 7 h``."""
    whole = max(int(seconds), 0)
    if whole < 2 * _MINUTE:
        return f"{whole} s"
    minutes = whole // _MINUTE
    if minutes < 2 * _MINUTE:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
