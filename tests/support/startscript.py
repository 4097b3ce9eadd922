"""``scripts/start.sh`` with a state folder of its own and none of this machine's settings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .processes import ROOT, clean_environment
from .venue import history_settings

Result = subprocess.CompletedProcess[str]

NOWHERE = {
    "BINANCE_REST_URL": "http://127.0.0.1:9",
    "BINANCE_WS_URL": "ws://127.0.0.1:9/market",
    **history_settings("http://127.0.0.1:9"),
}
"""An exchange that refuses every connection: the daemon stays up and unready."""


class StartScript:
    """Runs the script; ``stop`` at the end of a test leaves nothing behind."""

    def __init__(self, state: Path, settings: Mapping[str, str]) -> None:
        self.state = state
        self.settings = {
            "MARKETD_VAR": str(state),
            "MARKETD_ENV_FILE": "/dev/null",
            "MARKETD_CONFIG_FILE": "/dev/null",
            "METRICS_PORT": "0",
            "API_PORT": "0",
            "GRPC_PORT": "0",
            **NOWHERE,
            **settings,
        }

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it and go on."""
        return subprocess.Popen(
            [str(ROOT / "scripts" / "start.sh"), *arguments],
            cwd="/",
            env=clean_environment(self.settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, within: float = 240.0) -> Result:
        """Run it to its end."""
        process = self.popen(*arguments)
        out, err = process.communicate(timeout=within)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def pid(self, name: str = "marketd") -> int:
        """The process in ``NAME.pid``."""
        return int((self.state / "run" / f"{name}.pid").read_text().split()[0])

    def write_pid(self, text: str, name: str = "marketd") -> None:
        """Leave a pid file, as a crash or another program might."""
        folder = self.state / "run"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.pid").write_text(text)

    @property
    def log(self) -> str:
        return (self.state / "log" / "marketd.log").read_text(errors="replace")


def start_time(pid: int) -> int:
    """Field 22 of ``/proc/PID/stat``: clock ticks since boot."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def is_gone(pid: int) -> bool:
    """True when the process has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def daemons_of(state: Path) -> list[int]:
    """Every living daemon process that was started with this state folder."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or is_gone(int(folder.name)):
            continue
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        mine = os.fsencode(f"MARKETD_VAR={state}") in environment
        if mine and b"-m" in command and b"src" in command:
            found.append(int(folder.name))
    return found
