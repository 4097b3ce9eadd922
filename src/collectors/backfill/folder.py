"""Whether the folder of downloads can be used: there, writable, and enough of its disk free."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

_T = TypeVar("_T")

Trouble = Literal["folder", "disk_low", "memory"]
"""Why no file is downloaded: the folder cannot be written, its disk is nearly full, or memory is short."""

LEAST_FREE = 0.10
"""The share of the disk that downloads leave free."""


def free_share(folder: Path) -> float:
    """The free share of the disk that holds ``folder``. Raises ``OSError``."""
    usage = shutil.disk_usage(folder)
    return usage.free / usage.total if usage.total else 0.0


class DownloadFolder:
    """The folder, made when it is first used. ``free`` tells the free share of its disk; ``detail`` is a sentence about
    the latest trouble, for a person."""

    def __init__(self, path: Path, *, free: Callable[[Path], float] = free_share) -> None:
        self.path = path
        self.detail = ""
        self._free = free
        self._looking = asyncio.Lock()

    async def trouble(self) -> Trouble | None:
        """None when it can be used. Looks at the disk in a thread, one look at a time."""
        async with self._looking:
            return await _in_thread(self._trouble)

    async def remove(self, file: Path) -> None:
        """Delete a file that was read; one that cannot be deleted is left behind."""
        await _in_thread(partial(_remove, file))

    def _trouble(self) -> Trouble | None:
        probe = self.path / f".writable-{os.getpid()}"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"marketd")
            probe.unlink()
            if (free := self._free(self.path)) < LEAST_FREE:
                self.detail = f"{self.path}: {free:.1%} of its disk is free, downloads leave {LEAST_FREE:.0%}"
                return "disk_low"
        except OSError as error:
            _remove(probe)
            self.detail = f"{self.path} cannot be written: {error.strerror or error}"
            return "folder"
        return None


async def _in_thread(work: Callable[[], _T]) -> _T:
    """Run it in a thread. A cancellation waits for its end: a thread cannot be stopped, and what it still does to the
    folder would meet whoever comes next."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError:
        return
