"""A control group of its own for a running process, where root may make one (versions 1 and 2)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FILES = {"pids": ("pids.max", "pids.max"), "memory": ("memory.limit_in_bytes", "memory.max")}
"""The limit's file by controller, in version 1 and in version 2."""


class Group:
    """``limit`` bounds what the group's processes may have together; ``NoGroup`` where the system does not let us."""

    def __init__(self, folder: Path, limit: Path) -> None:
        self.folder = folder
        self._limit = limit

    def limit(self, most: int) -> None:
        """Processes, or bytes; of memory, version 1 counts what is taken from now on."""
        self._limit.write_text(str(most))

    def join(self, pid: int) -> None:
        """One more process; what it took before is not counted here."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def killed(self) -> int:
        """How many processes the kernel has ended because of the limit of memory."""
        events = self.folder / "memory.events"
        text = (events if events.exists() else self.folder / "memory.oom_control").read_text()
        return int(dict(line.split() for line in text.splitlines())["oom_kill"])


class NoGroup(Exception):
    """Why there is none."""


@contextmanager
def group_of(pid: int, controller: str) -> Iterator[Group]:
    """``pid`` in a new group of one controller; moved back at the end, if it still lives. Raises ``NoGroup``."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    one, two = _FILES[controller]
    old = re.search(rf"^(?:\S+ ){{4}}(\S+) .* - cgroup \S+ \S*\b{controller}\b", mounts, flags=re.MULTILINE)
    new = re.search(r"^(?:\S+ ){4}(\S+) .* - cgroup2 ", mounts, flags=re.MULTILINE)
    found = old or new
    if found is None:
        raise NoGroup("no control groups are mounted")
    root, name = Path(found[1]), one if old else two
    folder = root / f"marketd-test-{os.getpid()}-{pid}"
    try:
        folder.mkdir()
    except OSError as error:
        raise NoGroup(f"{folder}: {error.strerror}") from error
    try:
        if not (folder / name).exists():
            raise NoGroup(f"{folder} has no {name}")
        try:
            (folder / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            raise NoGroup(f"{folder}: {error.strerror}") from error
        yield Group(folder, folder / name)
    finally:
        _empty(folder, root)
        folder.rmdir()


def _empty(folder: Path, root: Path) -> None:
    for member in (folder / "cgroup.procs").read_text().split():
        try:
            (root / "cgroup.procs").write_text(member)
        except ProcessLookupError:
            continue  # ended meanwhile
