"""A file while it is downloaded: ``NAME.part``, locked, and what it is a part of; renamed once it is whole and safe.

A kill at any instant leaves a ``.part`` or the final file, never a final file that is not whole. Everything here
blocks and is called in a thread.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from io import BufferedWriter
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from ....errors import Unavailable

_READ_BYTES = 1 << 20


class Part:
    """The part of ``final``. ``size`` bytes are there of the version that ``tag`` names (empty: of none).

    ``open`` comes first. The thread in which something runs here cannot be cancelled with the task that waits for
    it, so leaving the block waits for it, and what comes after that raises ``Unavailable`` and opens nothing.
    """

    def __init__(self, final: Path) -> None:
        self._final = final
        self._path = final.with_name(f"{final.name}.part")
        self._tag_path = final.with_name(f"{final.name}.part.tag")
        self._file: BufferedWriter | None = None
        self._left = False
        self._turn = Lock()
        self.tag = ""
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._turn:
            self._left = True
            if self._file is not None:
                self._file.close()

    def open(self) -> None:
        """Open and lock it. Raises ``Unavailable`` when somebody else downloads it, ``OSError`` of the folder."""
        with self._turn:
            if self._left:
                raise _given_up(self._path)
            self._file = self._locked()
            self.tag = self._tag_path.read_text("ascii") if self._tag_path.exists() else ""
            self.size = self._file.seek(0, os.SEEK_END)
            if not self.tag:
                self._restart(self._file, "")

    def restart(self, tag: str) -> None:
        """Begin anew with the version ``tag``."""
        with self._turn:
            self._restart(self._opened(), tag)

    def write(self, data: bytes) -> None:
        """Append. Raises ``OSError`` when the disk is full or cannot be written."""
        with self._turn:
            file = self._opened()
            file.write(data)
            file.flush()
            self.size += len(data)

    def sha256(self) -> str:
        return sha256_of(self._path)

    def finish(self) -> Path:
        """Put it under its final name, safe from a crash of the machine. Returns that name."""
        with self._turn:
            os.fsync(self._opened().fileno())
            self._path.rename(self._final)
        self._tag_path.unlink(missing_ok=True)
        folder = os.open(self._final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return self._final

    def discard(self) -> None:
        """Forget what is there, and leave no file behind."""
        self._path.unlink(missing_ok=True)
        self._tag_path.unlink(missing_ok=True)

    def _opened(self) -> BufferedWriter:
        if self._file is None or self._left:
            raise _given_up(self._path)
        return self._file

    def _restart(self, file: BufferedWriter, tag: str) -> None:
        file.seek(0)
        file.truncate()
        self.size = 0
        # The tag is written after the old bytes are gone: a kill in between leaves an empty part.
        self._tag_path.write_text(tag, encoding="ascii")
        self.tag = tag

    def _locked(self) -> BufferedWriter:
        file = self._path.open("ab")
        if not _lock(file) or not self._is_ours(file):
            file.close()
            raise Unavailable(f"{self._path.name} is being downloaded by somebody else", reason="busy")
        return file

    def _is_ours(self, file: BufferedWriter) -> bool:
        """False if somebody renamed or removed it between open and lock."""
        try:
            return os.fstat(file.fileno()).st_ino == self._path.stat().st_ino
        except FileNotFoundError:
            return False


def _given_up(path: Path) -> Unavailable:
    return Unavailable(f"{path.name}: the download was given up", reason="given_up")


def _lock(file: BufferedWriter) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
