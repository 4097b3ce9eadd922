"""The lines of ``marketd status`` about tasks and what they work on: only what there is; pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .status_view import age, parse

_SIZES = {"5m": 300, "15m": 900, "1h": 3600, "4h": 14_400, "1d": 86_400}
_SHOWN = 5
_ERROR_WIDTH = 160
_STATES = ("RUNNING", "PENDING", "SUCCESS", "FAILED", "CANCELLED")

Rows = list[tuple[str, str]]
Report = dict[str, Any]


def work_rows(work: Report, now: datetime) -> Rows:
    """Label and text of each line; none where it was not asked."""
    if "error" in work:
        return []
    found = [
        ("trades", "\n".join(_trades(work["trades"], now))),
        ("pools", "\n".join(_pool(pool, now) for pool in work["pools"])),
        ("bars", "\n".join(_bars(bars, now) for bars in work["bars"])),
        ("levels", "\n".join(_levels(levels, now) for levels in work["levels"])),
        *_tasks(work["tasks"], now),
    ]
    if has_tasks(work):
        found.append(("next tasks", "\n".join(_next(run, now) for run in work["next_runs"])))
    return [(label, text) for label, text in found if text]


def has_tasks(work: Report) -> bool:
    """Whether somebody works at tasks, or asked for one in the last day."""
    return bool(work["tasks"]["workers"] or work["tasks"]["states"])


def _trades(markets: list[Report], now: datetime) -> list[str]:
    lines = []
    for market in markets[:_SHOWN]:
        holes = f", {market['open_ids']:,} ids missing in {market['open_gaps']:,} gaps"
        lines.append(
            f"{market['symbol']} of {market['exchange']} up to {_moment(market['newest'], now)}"
            + (holes if market["open_gaps"] else "")
        )
    if rest := markets[_SHOWN:]:
        gaps, ids = sum(one["open_gaps"] for one in rest), sum(one["open_ids"] for one in rest)
        lines.append(f"{len(rest)} more that are newer, {ids:,} ids missing in {gaps:,} gaps")
    return lines


def _pool(pool: Report, now: datetime) -> str:
    name = f"{pool['symbol0']}/{pool['symbol1']} {pool['pool'][:10]}… on {pool['chain']}"
    if pool["block"] is None:
        return f"{name}: no swaps yet"
    return f"{name} up to block {pool['block']:,}, {_moment(pool['newest'], now)}"


def _bars(bars: Report, now: datetime) -> str:
    made = parse(bars["made_to"]).timestamp()
    closes = (f"{size} {_stamp(made // seconds * seconds)}" for size, seconds in _SIZES.items())
    symbols = f"{bars['symbols']:,} symbols, newest made {age(now.timestamp() - made)} ago"
    return f"{symbols}; newest closes: {', '.join(closes)}"


def _levels(levels: Report, now: datetime) -> str:
    symbols = f"{levels['symbols']:,} symbol{'' if levels['symbols'] == 1 else 's'}"
    run = age((now - parse(levels["updated_at"])).total_seconds())
    known = _stamp(parse(levels["known_to"]).timestamp())
    return f"{levels['market_type']} {levels['timeframe']}: {symbols}, known up to {known}, run {run} ago"


def _tasks(tasks: Report, now: datetime) -> Rows:
    states = tasks["states"]
    if not states and not tasks["workers"]:
        return []
    counts = ", ".join(f"{states[state]:,} {state}" for state in _STATES if state in states)
    workers = f"{tasks['workers']} at work" if tasks["workers"] else "NOBODY works at them"
    rows = [("tasks", f"{counts or 'none'} in the last 24 h; {workers}")]
    if failure := tasks["last_failure"]:
        error = failure["error"].split("\n")[0]
        error = error if len(error) <= _ERROR_WIDTH else f"{error[: _ERROR_WIDTH - 1]}…"
        when = f", {_moment(failure['finished_at'], now)}" if failure["finished_at"] else ""
        rows.append(("failed", f"{failure['task_id']}{when}\n{error}"))
    return rows


def _next(run: Report, now: datetime) -> str:
    seconds = (parse(run["at"]) - now).total_seconds()
    return f"{run['schedule']} in {age(seconds)} ({run['cron']})"


def _moment(text: str, now: datetime) -> str:
    when = parse(text)
    return f"{when:%Y-%m-%d %H:%M:%S} UTC ({age((now - when).total_seconds())} ago)"


def _stamp(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%m-%d %H:%M}"
