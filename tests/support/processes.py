"""Child processes of the tests: started with a log file, signalled, waited for, and never left behind."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PORTS = range(20_000, 32_000)
"""Below Linux's ephemeral range, so that no outgoing connection can take a port before it is used."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on or has reserved."""
    with reserved_port() as held:
        return port_of(held)


def reserved_port() -> socket.socket:
    """A socket that holds a TCP port of 127.0.0.1 and never listens: connections are refused.

    Servers may listen on it, go away and come back as long as the socket is open. Nobody else gets the port
    meanwhile: no outgoing connection, nobody who asks for any port, and nobody who asks here.
    """
    for _ in range(200):
        held = socket.socket()
        try:
            held.bind(("127.0.0.1", random.choice(_PORTS)))
        except OSError:
            held.close()
            continue
        # After the bind, which must fail where somebody else has the port: from now on a server may share it.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return held
    raise AssertionError("no free port among 200 tried")


def port_of(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """An environment with none of this machine's settings: what a program needs to run, plus ``extra``."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1", **extra}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds: open file descriptors, threads, and resident memory in MB (10^6 bytes)."""

    descriptors: int
    threads: int
    resident_mb: float


def peak_mb(pid: int) -> float:
    """The most memory (10^6 bytes) that a process ever had resident."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), flags=re.MULTILINE)
    assert found, f"{pid} has ended"
    return int(found[1]) * 1024 / 1e6


class Child:
    """One ``python -m …`` process in the checkout, whose standard output and error go to ``log``.

    ``enter`` stands before the command: something that executes it elsewhere, in the same process, or with ``waits``
    has it as its only child and ends as it does.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        enter: Sequence[str] = (),
        waits: bool = False,
    ) -> None:
        self.log = log
        self._waits = waits
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*enter, sys.executable, *arguments],
                cwd=ROOT,
                env=clean_environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Of what runs: not of a prefix that waits for it, once there is something to wait for."""
        started = _children(self._process.pid) if self._waits else []
        return started[0] if started else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the number of the signal that ended it."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            os.kill(self.pid, number)

    async def wait(self, *, within: float) -> int:
        """The exit code; ``AssertionError`` with the log's end if it still runs after ``within`` seconds."""
        deadline = time.monotonic() + within
        while (code := self.exit_code) is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"still running after {within:.0f} s; its log ends:\n{self.tail()}")
            await asyncio.sleep(0.02)
        return code

    async def kill(self) -> None:
        """kill -9, and wait until it is gone; harmless when it is gone already."""
        if self.exit_code is None:
            self.signal(signal.SIGKILL)
            await self.wait(within=60)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 25) -> str:
        return "\n".join(self.text().splitlines()[-lines:])

    def children(self) -> list[int]:
        """Process ids of the processes that it started and that live."""
        return _children(self.pid)

    def usage(self) -> Usage:
        """What it holds at this moment."""
        own = Path(f"/proc/{self.pid}")
        pages = int((own / "statm").read_text().split()[1])
        return Usage(
            descriptors=sum(1 for _ in (own / "fd").iterdir()),
            threads=sum(1 for _ in (own / "task").iterdir()),
            resident_mb=pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        )


def _children(parent: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{parent}/task").glob("*/children"):
        found += [int(pid) for pid in path.read_text().split()]
    return found
