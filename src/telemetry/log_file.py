"""The file that standard error leads to: kept bounded, and found again after somebody has moved it away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

LOG_FILE, LOG_BYTES = "MARKETD_LOG_FILE", "MARKETD_LOG_BYTES"
"""Environment: the file that whoever started us has opened as our output, and how large it may grow."""
DEFAULT_BYTES = 64 * 1024 * 1024
_EVERY_S = 1.0
"""Wall seconds between two looks at it."""


class LogFile:
    """Before it has ``most_bytes`` for long it becomes ``PATH.1`` (the one before it goes), and a new one is begun.

    A file that logrotate has renamed is begun anew as well, without a signal; one that it has copied and cut
    (``copytruncate``) is written on, since whoever opened it appends. Only ``descriptors`` that lead to ``path`` now
    are ever touched, and what they lead to is exchanged in one step, so no line is lost or torn. Nothing is raised:
    where no new file can be begun, the old one is written on.
    """

    def __init__(
        self,
        path: Path,
        most_bytes: int = DEFAULT_BYTES,
        *,
        descriptors: Sequence[int] = (1, 2),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._clock = clock
        self._descriptors = [number for number in descriptors if self._is_named(number)]
        self._look_at = clock()

    @classmethod
    def told(cls) -> LogFile | None:
        """As whoever started us has said in the environment; None where nothing is said."""
        path, most = os.environ.get(LOG_FILE), os.environ.get(LOG_BYTES, "")
        if not path:
            return None
        return cls(Path(path), int(most) if most.isdecimal() and int(most) else DEFAULT_BYTES)

    def keep(self) -> None:
        """Look at it if it is time; called before every line."""
        now = self._clock()
        if not self._descriptors or now < self._look_at:
            return
        self._look_at = now + _EVERY_S
        with suppress(OSError):
            if self._is_named(self._descriptors[0]):
                if os.fstat(self._descriptors[0]).st_size < self._most_bytes:
                    return
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            self._begin()

    def _begin(self) -> None:
        new = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            for number in self._descriptors:
                os.dup2(new, number)
        finally:
            os.close(new)

    def _is_named(self, descriptor: int) -> bool:
        """Whether the descriptor leads to what has the path now."""
        try:
            named, own = self._path.stat(), os.fstat(descriptor)
        except OSError:
            return False
        return (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino)
