"""A TimescaleDB server of the tests' own, driven through ``scripts/timescaledb.sh``.

Methods block until the server is where they say; a test with a running loop calls them through
``asyncio.to_thread``. Process ids are the machine's, so ``os.kill`` works on every one of them.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from .processes import ROOT

_SCRIPT = ROOT / "scripts" / "timescaledb.sh"
_START_S = 180.0  # the first start of all fetches PostgreSQL
_GONE_S = 30.0


class Cluster:
    """One server with its data folder; ``url`` is the role the daemon uses, ``admin_url`` the superuser's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, str] = {}
        """Server settings of the next ``start``, such as ``{"max_connections": "12"}``."""

    @property
    def url(self) -> str:
        return self._run("url")

    @property
    def admin_url(self) -> str:
        return self._run("url", "--admin")

    @property
    def postmaster_pid(self) -> int:
        """Process id of the server's first process. Raises ``FileNotFoundError`` when it does not run."""
        return int((self.folder / "data" / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])

    def log(self) -> str:
        """What the server wrote since it was started last."""
        return (self.folder / "start.log").read_text(encoding="utf-8", errors="replace")

    def start(self, settings: Mapping[str, str] | None = None) -> None:
        """Start it, with ``settings`` on top of those of earlier starts; returns when it takes connections."""
        self.settings.update(settings or {})
        pairs = [part for name, value in self.settings.items() for part in ("--set", f"{name}={value}")]
        self._run("up", "--test", *pairs)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop it: fast (sessions are ended, a checkpoint is written) or ``immediate`` (nothing is written)."""
        self._run("down", *(["--immediate"] if immediate else []))

    def restart(self, settings: Mapping[str, str] | None = None, *, immediate: bool = False) -> None:
        self.stop(immediate=immediate)
        self.start(settings)

    def kill(self) -> None:
        """``kill -9`` of the first process; returns when all processes of the server are gone."""
        handles = [os.pidfd_open(pid) for pid in self.processes()]
        os.kill(self.postmaster_pid, signal.SIGKILL)
        for handle in handles:
            ended, _, _ = select.select([handle], [], [], _GONE_S)
            os.close(handle)
            assert ended, "a process of the server outlived its postmaster"

    def processes(self) -> Iterator[int]:
        """Process ids of the server that live; zombies do not count."""
        data = str(self.folder / "data")
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if (entry / "cwd").readlink().as_posix() == data:
                    yield int(entry.name)
            except OSError:
                continue  # it ended, is a zombie, or is not ours

    def destroy(self) -> None:
        """Stop it at once and delete its data."""
        self._run("destroy")

    def _run(self, *arguments: str) -> str:
        command = [str(_SCRIPT), "--data", str(self.folder), *arguments]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_START_S, check=False
        )
        assert done.returncode == 0, f"{' '.join(arguments[:1])}: {done.stderr.strip()}"
        return done.stdout.strip()
