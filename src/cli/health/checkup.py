"""The single checks of ``marketd doctor``; each gives findings, none raises for what it looks for."""

from __future__ import annotations

import errno
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...adapters.occupant import marketd_at
from ...adapters.timescale.reports.inspection import Inspection, Server
from ...config import Settings

State = Literal["ok", "warning", "bad"]

_MANY_LOCKS = 256
"""``max_locks_per_transaction`` for years of weekly chunks read by several sessions; we set 512, 64 is the default."""
_LEAST_FREE = 0.10
_CONNECTIONS = 20
"""The most that marketd opens in all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do if something must be done."""

    subject: str
    state: State
    text: str
    advice: str = ""


def judge_server(inspection: Inspection) -> list[Finding]:
    """What the database's answers mean; pure."""
    server = inspection.server
    found = [_extension(server), *_durability(server), *_sizes(server)]
    if server.timescaledb is None:
        return found
    if inspection.pending:
        names = ", ".join(inspection.pending)
        found.append(Finding("tables", "bad", f"pending migrations: {names}", "run `marketd migrate`"))
    elif inspection.missing_rights:
        rights = ", ".join(inspection.missing_rights)
        found.append(
            Finding("rights", "bad", f"{server.role} lacks {rights}", "run `marketd migrate` as the owner")
        )
    else:
        found.append(Finding("tables", "ok", "up to date, with the rights to write them"))
    if inspection.lock_holder:
        found.append(Finding("lock", "ok", f"held by {inspection.lock_holder}"))
    return found


def judge_reader(inspection: Inspection) -> list[Finding]:
    """What the database says to DATABASE_READER_URL; pure."""
    server = inspection.server
    who = f"{server.role} (DATABASE_READER_URL) in {server.database}"
    if inspection.pending:
        advice = "see that it names the same database; `marketd migrate` as the owner gives it its rights"
        return [Finding("reader", "bad", f"{who} does not see every table", advice)]
    return [Finding("reader", "ok", f"{who} may look at every table")]


def _extension(server: Server) -> Finding:
    text = f"{server.database} on PostgreSQL {server.postgresql}"
    if server.timescaledb is None:
        advice = (
            "install the timescaledb package for this server; `marketd migrate` then creates the extension"
        )
        return Finding("database", "bad", f"{text} has no TimescaleDB", advice)
    return Finding("database", "ok", f"{text}, TimescaleDB {server.timescaledb} ({server.edition} edition)")


def _durability(server: Server) -> list[Finding]:
    found = []
    if server.read_only:
        found.append(Finding("writes", "bad", "the server is read-only", "point DATABASE_URL at the primary"))
    if server.synchronous_commit == "off":
        advice = f"ALTER ROLE {server.role} SET synchronous_commit = on"
        found.append(
            Finding("writes", "bad", "synchronous_commit is off: the daemon refuses to write", advice)
        )
    if server.fsync == "off":
        found.append(
            Finding("writes", "warning", "fsync is off: a power cut may lose the database", "set fsync = on")
        )
    return found


def _sizes(server: Server) -> list[Finding]:
    found = []
    if server.max_locks_per_transaction < _MANY_LOCKS:
        text = f"max_locks_per_transaction is {server.max_locks_per_transaction}"
        found.append(Finding("locks", "warning", text, "set it to 512: queries over years of chunks need it"))
    if server.max_connections < _CONNECTIONS:
        text = f"max_connections is {server.max_connections}"
        found.append(Finding("connections", "bad", text, f"marketd may open {_CONNECTIONS}"))
    return found


def check_port(settings: Settings) -> Finding:
    """Whether the port is free, or taken by a marketd already."""
    place = f"{settings.metrics_host}:{settings.metrics_port}"
    try:
        family = socket.AF_INET6 if ":" in settings.metrics_host else socket.AF_INET
        with socket.create_server((settings.metrics_host, settings.metrics_port), family=family):
            return Finding("port", "ok", f"{place} is free")
    except OSError as error:
        if error.errno == errno.EADDRINUSE and marketd_at(settings.metrics_host, settings.metrics_port):
            return Finding("port", "ok", f"a daemon answers on {place}")
        reason = error.strerror or str(error)
        return Finding("port", "bad", f"{place}: {reason}", "set METRICS_HOST and METRICS_PORT to a free one")


def check_disk(folder: Path | None = None) -> Finding:
    """Space where we are; the private database and the log lie there. A database elsewhere is not seen."""
    folder = folder or Path.cwd()
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total
    text = f"{usage.free / 1e9:,.1f} GB ({share:.0%}) free under {folder}"
    if share < _LEAST_FREE:
        return Finding("disk", "bad", text, "make room: PostgreSQL stops when the disk is full")
    return Finding("disk", "ok", text)
