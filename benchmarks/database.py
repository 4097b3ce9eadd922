"""A private TimescaleDB for one benchmark, fsync and synchronous_commit on, removed when it is over."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

_SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "timescaledb.sh"


@contextmanager
def private_database(name: str) -> Iterator[str]:
    """The URL of an empty database on a server of this benchmark's own."""
    folder = Path(tempfile.mkdtemp(prefix=f"marketd-{name}-"))
    script = [str(_SCRIPT), "--data", str(folder / "pg")]
    try:
        subprocess.run([*script, "up"], check=True, stdout=subprocess.DEVNULL)
        yield subprocess.run([*script, "url"], check=True, capture_output=True, text=True).stdout.strip()
    finally:
        subprocess.run([*script, "destroy"], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


def settings_of(url: str) -> dict[str, object]:
    """What of the server's settings a figure depends on."""
    names = ["fsync", "synchronous_commit", "server_version"]
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [names])
        return {name: value == "on" if value in {"on", "off"} else value for name, value in found}
