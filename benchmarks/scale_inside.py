"""What the parts of ``scale`` with several machines share: a network namespace of their own, which root can make."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.live import ROOT, environment
from tests.support.machines import HBA_LINE, PREPARE, machines_can_be_made


def measured_inside(module: str) -> list[dict[str, Any]]:
    """What ``python -m MODULE`` prints as JSON within a namespace; empty where none can be made."""
    if not machines_can_be_made() or subprocess.run(["unshare", "--net", "true"], check=False).returncode:
        return []
    script = "\n".join(["set -e", *PREPARE, 'exec "$@"'])
    command = ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, "-m", module]
    done = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def let_machines_in(cluster: Path) -> None:
    """The server of ``database_in`` takes the connections of ``machine()``."""
    with (cluster / "data" / "pg_hba.conf").open("a", encoding="utf-8") as file:
        file.write(HBA_LINE)
    os.kill(int((cluster / "data" / "postmaster.pid").read_text().split("\n", 1)[0]), signal.SIGHUP)
    time.sleep(1)  # what is refused meanwhile is tried again
