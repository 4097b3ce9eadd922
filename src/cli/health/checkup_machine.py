"""The checks of ``marketd doctor`` about this machine: limits, who may read secrets, the folder of downloads."""

from __future__ import annotations

import os
import resource
import shutil
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from ...config import Settings
from ...config.describe import secret_names
from ...config.load import CONFIG_FILE, ENV_FILE, known_names
from .checkup import Finding

_MOUNTED_SECRETS = Path("/run/secrets")
_DESCRIPTORS = 1024
"""20 connections to the database, 64 requests at once, the streams, 64 clients of each server, 500 listeners, files."""
_PROCESSES = 256
"""Threads count as processes: the pools of file work, of names, and those of the processes that compute."""
_LEAST_FREE = 0.10


def check_limits() -> list[Finding]:
    """What the system lets this user's processes have; a service has limits of its own (``LimitNOFILE``)."""
    found = [
        _limit(resource.RLIMIT_NOFILE, _DESCRIPTORS, "open files", "LimitNOFILE", "ulimit -n"),
        _limit(resource.RLIMIT_NPROC, _PROCESSES, "processes and threads", "LimitNPROC", "ulimit -u"),
    ]
    size = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if size != resource.RLIM_INFINITY:
        text = f"a file may have at most {size / 1e6:,.0f} MB"
        found.append(
            Finding(
                "limits",
                "warning",
                text,
                "lift it (LimitFSIZE=infinity, ulimit -f unlimited): archive files are large",
            )
        )
    return found


def _limit(number: int, least: int, what: str, unit: str, command: str) -> Finding:
    soft, hard = resource.getrlimit(number)
    if soft == resource.RLIM_INFINITY:
        return Finding("limits", "ok", f"{what}: no limit")
    if soft >= least:
        return Finding("limits", "ok", f"{what}: {soft:,} at most")
    above = (
        ""
        if hard == resource.RLIM_INFINITY or hard >= least
        else "; as root, for the hard limit is lower, too"
    )
    advice = f"allow {least:,}: {unit}={least} in the service, or `{command} {least}` before the start{above}"
    return Finding("limits", "bad", f"{what}: {soft:,} at most", advice)


def check_secrets(
    environ: Mapping[str, str], settings: Settings, origins: Mapping[str, str] | None = None
) -> list[Finding]:
    """No file with secrets in it may be read by everybody on this machine. ``origins``: where settings were written."""
    named = [environ.get(ENV_FILE) or ".env", settings.api_tokens_file or ""]
    yaml = environ.get(CONFIG_FILE) or "config.yaml"
    written = {place for name, place in (origins or {}).items() if name in secret_names()}
    named += [yaml] if str(Path(yaml)) in written else []
    named += [environ[name] for name in known_names() if name.endswith("_FILE") and environ.get(name)]
    # Secrets of a container are nobody's outside of it, and its user can only read them like everybody.
    paths = [path for path in map(Path, filter(None, named)) if not path.is_relative_to(_MOUNTED_SECRETS)]
    files = _modes(dict.fromkeys(paths))
    open_ones = [path for path, mode in files.items() if mode & (stat.S_IROTH | stat.S_IWOTH)]
    if open_ones:
        names = " ".join(map(str, open_ones))
        return [Finding("secrets", "warning", f"everybody may read {names}", f"chmod 600 {names}")]
    return (
        [Finding("secrets", "ok", f"{len(files)} files, none of which everybody may read")] if files else []
    )


def _modes(paths: Iterable[Path]) -> dict[Path, int]:
    """Of those that are files; who may not look into a folder cannot read what is in it either."""
    found = {}
    for path in paths:
        with suppress(OSError):
            if stat.S_ISREG(mode := path.stat().st_mode):
                found[path] = mode
    return found


def check_archive_folder(settings: Settings) -> list[Finding]:
    """ARCHIVE_FOLDER, or where it will be made, can be written and has room."""
    folder = Path(settings.archive_folder)
    there = next(place for place in (folder, *folder.absolute().parents) if _is_seen(place))
    if not there.is_dir():
        return [Finding("downloads", "bad", f"{there} is no folder", "set ARCHIVE_FOLDER to one")]
    if not os.access(there, os.W_OK | os.X_OK):
        text = f"ARCHIVE_FOLDER={folder}: {there} cannot be written"
        return [
            Finding(
                "downloads",
                "bad",
                text,
                "give this user the right to, or set ARCHIVE_FOLDER to another folder",
            )
        ]
    usage = shutil.disk_usage(there)
    text = f"ARCHIVE_FOLDER={folder} can be written, {usage.free / 1e9:,.1f} GB free"
    if usage.free / usage.total < _LEAST_FREE:
        return [Finding("downloads", "warning", text, "make room: below 10 % no archive file is downloaded")]
    return [Finding("downloads", "ok", text)]


def _is_seen(place: Path) -> bool:
    """Whether it is there, as far as this user can tell: what lies in a closed folder is judged by that folder."""
    try:
        return place.exists()
    except PermissionError:
        return False
