"""How near this process and its children are to the limit of their memory: MemoryMax, mem_limit, limits.memory.

All of them are the files of a control group, version 1 or 2; proc(5) and the kernel's cgroup-v2 document tell which.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_UNLIMITED = 1 << 60
"""Version 1 says a number of pages that nobody has."""


@dataclass(frozen=True, slots=True)
class _Files:
    """The names of one version."""

    limits: tuple[str, ...]
    """The lowest of them holds: above memory.high the kernel slows a process down, at memory.max it ends one."""
    used: str
    inactive: str
    active: str
    mapped: str
    """In memory.stat, pages of files. The kernel takes them back before it ends anybody, also active ones: files that
    were written and read again. Mapped ones are mostly programs, which would be read again at once."""
    kept: str
    """There, too, what the kernel keeps of the names and inodes of files until somebody needs the room. Version 1 does
    not tell."""


_ONE = _Files(
    ("memory.limit_in_bytes",),
    "memory.usage_in_bytes",
    "total_inactive_file",
    "total_active_file",
    "total_mapped_file",
    "",
)
_TWO = _Files(
    ("memory.max", "memory.high"),
    "memory.current",
    "inactive_file",
    "active_file",
    "file_mapped",
    "slab_reclaimable",
)


def used_share(own: Path = Path("/proc/self")) -> float | None:
    """The used share, 0 to about 1, of the tightest limit on the way up; None where there is none, or nobody says so.

    The kernel answers these reads out of its memory, at once.
    """
    shares = []
    try:
        groups = (own / "cgroup").read_text(), (own / "mountinfo").read_text()
        for folder, files in _folders(*groups):
            if share := _share(folder, files):
                shares.append(share)
    except (OSError, ValueError):  # another system, or a group that goes away while we look
        return None
    return max(shares, default=None)


def _share(folder: Path, files: _Files) -> float | None:
    limit = min((_limit(folder / name) for name in files.limits), default=_UNLIMITED)
    if limit >= _UNLIMITED:
        return None
    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    inactive, active, mapped, kept = (
        int(stat.get(name, 0)) for name in (files.inactive, files.active, files.mapped, files.kept)
    )
    used = int((folder / files.used).read_text()) - inactive - max(active - mapped, 0) - kept
    return max(used, 0) / limit if limit else 1.0


def _limit(file: Path) -> int:
    """The group at the top has no such file."""
    text = file.read_text().strip() if file.exists() else "max"
    return _UNLIMITED if text == "max" else int(text)


def _folders(cgroup: str, mountinfo: str) -> Iterator[tuple[Path, _Files]]:
    """Our group's folder and those above it, as far as they can be seen from here."""
    paths = {
        controllers: path for _, controllers, path in (line.split(":", 2) for line in cgroup.splitlines())
    }
    for controllers, path in paths.items():
        if "memory" in controllers.split(","):
            yield from _upwards(_mount(mountinfo, "cgroup", "memory"), path, _ONE)
            return
    if "" in paths:
        yield from _upwards(_mount(mountinfo, "cgroup2", ""), paths[""], _TWO)


def _upwards(mount: tuple[str, str] | None, path: str, files: _Files) -> Iterator[tuple[Path, _Files]]:
    if mount is None:
        return
    root, at = mount
    inside = PurePosixPath(path)
    # A container may see its own group as the root, and its path as the machine has it.
    below = inside.relative_to(root) if inside.is_relative_to(root) else PurePosixPath()
    for part in (below, *below.parents) if below.parts else (below,):
        yield Path(at) / part, files


def _mount(mountinfo: str, kind: str, option: str) -> tuple[str, str] | None:
    """(root, mount point), by the line's fields 4 and 5, of this kind of file system."""
    for line in mountinfo.splitlines():
        fields, _, system = line.partition(" - ")
        name, _, options = system.split(" ", 2)
        if name == kind and (not option or option in options.split(",")):
            return fields.split(" ")[3], fields.split(" ")[4]
    return None
