"""docs/reference.md, made from what there is: commands, HTTP, gRPC, kinds of tasks, tables, metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fastapi.routing import APIRoute

from src.api.app import make_routes
from src.api.feed import live
from src.api.protos import task_pb2
from src.api.security import Needs, Scope
from src.cli.app import application
from src.telemetry.metrics import Metrics

from .api import made_parts, routes_of
from .processes import ROOT

_OTHER_TABLES = {
    "alerts": "Prices that are watched, and the last close that was looked at.",
    "listing_cuts": "View: where the listings of a symbol are cut, at each first minute of a contract.",
    "schema_migration": "Migrations that were applied, with their hashes.",
    "task_logs": "What tasks have said.",
    "trade_misfits": "View: trades that lie outside of the listing they are counted in.",
    "tasks": "Tasks that were asked for: state, share done, result, error.",
}
"""Tables and views without a comment."""
_QUEUE = "Of the queue's library; not for reading."
_HEAD = """# Reference

Everything that can be asked of marketd or read from it, made from the code: `UPDATE_SNAPSHOT=1 pytest
tests/unit/docs` writes this file anew, and the same test without it finds what is not listed. Settings stand in the
[README](../README.md#configuration), parameters of tasks in `marketd jobs kinds`.
"""


def reference() -> str:
    """The whole file."""
    parts = [
        _HEAD,
        "## Commands\n\n`marketd COMMAND --help` explains each option.\n",
        _table("command", "about", "options", rows=commands()),
        "## HTTP\n\nThe scope is what a token needs where there are tokens. `/docs` shows parameters and answers.\n",
        _table("request", "scope", "about", rows=endpoints()),
        "## gRPC\n\n`marketd.v1.TaskService`, and `grpc.health.v1.Health`.\n",
        _table("method", "takes", "answers", rows=methods()),
        "## Tables\n\nIn the schema `KLINE_DB_SCHEMA` (`market_data`).\n",
        _table("table", "about", "columns", rows=tables()),
        "## Metrics\n\nOn `/metrics` of METRICS_PORT; of a histogram with `_bucket`, `_count`, `_sum`.\n",
        _table("metric", "labels", "about", rows=metrics()),
    ]
    return "\n".join(parts)


def _table(*heads: str, rows: Iterator[tuple[str, str, str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def commands() -> Iterator[tuple[str, str, str]]:
    """Each command and each of its own, with its options."""
    yield from _commands(application(), "marketd")


def _commands(command: Any, name: str) -> Iterator[tuple[str, str, str]]:
    options = [max(one.opts, key=len) for one in command.params if one.param_type_name == "option"]
    about = " ".join(command.get_short_help_str(400).split())
    yield f"`{name}`", about, " ".join(f"`{one}`" for one in options)
    for own, found in getattr(command, "commands", {}).items():
        if not found.hidden:
            yield from _commands(found, f"{name} {own}")


def endpoints() -> Iterator[tuple[str, str, str]]:
    """Each method of each path of the OpenAPI document, and the live feed."""
    app = make_routes(made_parts())
    scopes = {
        (route.path_format, method): _scope(route)
        for route in routes_of(app.routes)
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    yield f"`GET {live.PATH}`", "read", "The live feed, a web socket."
    for path, operations in sorted(app.openapi()["paths"].items()):
        for method, operation in operations.items():
            about = operation.get("description") or operation.get("summary", "")
            yield (
                f"`{method.upper()} {path}`",
                scopes[path, method.upper()],
                " ".join(about.split("\n\n")[0].split()),
            )


def _scope(route: APIRoute) -> str:
    needed = [one.call.scope for one in route.dependant.dependencies if isinstance(one.call, Needs)]
    return Scope(max(needed)).name.lower() if needed else "none"


def methods() -> Iterator[tuple[str, str, str]]:
    for service in task_pb2.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            stream = "stream of " if method.server_streaming else ""
            yield f"`{method.name}`", f"`{method.input_type.name}`", f"{stream}`{method.output_type.name}`"


def tables() -> Iterator[tuple[str, str, str]]:
    """Each table and view of the reviewed schema."""
    schema = (ROOT / "tests" / "migration" / "schema.txt").read_text(encoding="utf-8")
    files = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "sql").rglob("*.sql"))]
    said = re.findall(r"COMMENT ON (?:TABLE|VIEW) (\w+)\s+IS\s+'((?:[^']|'')*)'", "\n".join(files))
    about = _OTHER_TABLES | {name: text.replace("''", "'").replace("\n", " ") for name, text in said}
    columns: dict[str, list[str]] = {}
    for table, column in re.findall(r"^column (\w+)\.(\w+) ", schema, re.MULTILINE):
        columns.setdefault(table, []).append(column)
    for table, own in sorted(columns.items()):
        text = _QUEUE if table.startswith("procrastinate_") else about[table]
        yield f"`{table}`", text, "" if text == _QUEUE else ", ".join(own)


def metrics() -> Iterator[tuple[str, str, str]]:
    """Each family as it is exposed."""
    all_of_them = Metrics()
    found = [one for one in vars(all_of_them).values() if hasattr(one, "_labelnames")]
    for one in sorted([*found, all_of_them.enable_symbol_gauge()], key=_name):
        yield f"`{_name(one)}`", ", ".join(f"`{label}`" for label in one._labelnames), one._documentation


def _name(metric: Any) -> str:
    name = str(metric._name)
    return f"{name}_total" if metric._type == "counter" else name
