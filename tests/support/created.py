"""What is created in folders, told by the kernel: also what is gone again before anybody looks."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MOVED_TO, _CREATE, _OVERFLOW = 0x80, 0x100, 0x4000
_HEAD = struct.Struct("iIII")
_READ_BYTES = 1 << 20


class Created:
    """``names()`` are those created in a folder, or moved there, since the block was entered."""

    def __init__(self, folders: dict[int, Path], descriptor: int) -> None:
        self._folders = folders
        self._descriptor = descriptor
        self._names: dict[Path, set[str]] = {folder: set() for folder in folders.values()}

    def names(self, folder: Path) -> set[str]:
        """All of them so far."""
        self._read()
        return set(self._names[folder])

    def _read(self) -> None:
        while True:
            try:
                events = os.read(self._descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            place = 0
            while place < len(events):
                watch, kind, _, length = _HEAD.unpack_from(events, place)
                assert not kind & _OVERFLOW, "more was created than the kernel remembers"
                place += _HEAD.size + length
                self._names[self._folders[watch]].add(
                    events[place - length : place].rstrip(b"\0").decode(errors="replace")
                )


@contextmanager
def created_in(*folders: Path) -> Iterator[Created]:
    """Watch the folders, which must be there; what lies below them is not watched. Linux only."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert descriptor >= 0, os.strerror(ctypes.get_errno())
    try:
        watches: dict[int, Path] = {}
        for folder in folders:
            watch: int = libc.inotify_add_watch(descriptor, os.fsencode(folder), _CREATE | _MOVED_TO)
            assert watch >= 0, f"{folder}: {os.strerror(ctypes.get_errno())}"
            watches[watch] = folder
        yield Created(watches, descriptor)
    finally:
        os.close(descriptor)
