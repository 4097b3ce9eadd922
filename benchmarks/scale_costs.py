"""What a database costs its machine: CPU of all its processes, and bytes of write-ahead log."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

_SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "timescaledb.sh"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one server so far: CPU seconds, bytes of log."""

    cpu_s: float
    wal_bytes: int

    def since(self, before: Costs) -> Costs:
        return Costs(self.cpu_s - before.cpu_s, self.wal_bytes - before.wal_bytes)


def costs(folder: Path, url: str) -> Costs:
    """Of the server whose cluster lies in ``folder``."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
        ).fetchone()
    return Costs(server_cpu_s(folder), int(row[0]) if row else 0)


def checkpoint(folder: Path) -> None:
    """Everything changed so far is on disk; only the server's owner may ask for it."""
    command = [str(_SCRIPT), "--data", str(folder), "url", "--admin"]
    url = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def server_cpu_s(folder: Path) -> float:
    """CPU seconds of its processes, of those that have ended too: their first process has waited for them."""
    first = int((folder / "data" / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
    total = _cpu_s(first, ended=True)
    for child in Path(f"/proc/{first}/task/{first}/children").read_text().split():
        with suppress(OSError):  # it ended meanwhile, and counts with the first process from now on
            total += _cpu_s(int(child))
    return total


def _cpu_s(pid: int, *, ended: bool = False) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if ended else 13])) / _TICKS
