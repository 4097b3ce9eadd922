"""Where and with what a figure was measured; without it no figure means anything."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("cryptofeed", "picows", "aiohttp", "orjson", "psycopg", "uvloop", "polars", "numpy", "numba")


def circumstances() -> dict[str, object]:
    """Date (UTC), commit (``-dirty`` with changes under src, sql or benchmarks), machine, its load, and versions."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": _commit(),
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "memory_gb": _memory_gb(),
            "kernel": platform.release(),
        },
        "load_1m": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in _PACKAGES},
    }


def _commit() -> str:
    commit = _git("rev-parse", "--short=10", "HEAD") or "unknown"
    return (
        f"{commit}-dirty" if _git("status", "--porcelain", "--", "src", "sql", "benchmarks/*.py") else commit
    )


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _memory_gb() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
