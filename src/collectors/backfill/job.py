"""What the engine is given besides the tasks, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from ...model import ArchiveFile, FileState, KnownFile, WriteResult
from ...ports import Priority
from .folder import Trouble
from .progress import Progress

Proofs = Mapping[tuple[str, date], KnownFile]
"""Days whose daily file was verified and imported before anything was asked: what REST lacks too is absent."""


@dataclass(frozen=True, slots=True)
class Job:
    """How tasks are to be done.

    ``stop`` is asked before every task; tasks that were not begun are simply not done, the ledger still has them.
    """

    priority: Priority
    progress: Progress
    force: bool = False
    keep: bool = False
    proofs: Proofs = field(default_factory=dict)
    stop: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class Outcome:
    """What became of a set of tasks.

    ``settled`` counts tasks that got their answer, good or bad; ``imported`` and ``failed`` are the archive paths
    among them. ``unanswered`` are those to be tried again. ``lacking`` are
    days of which REST did not have everything. ``trouble`` is why downloads were given up, ``retry_after`` the
    longest rest (wall seconds) that somebody demanded, ``stopped`` that there was no time for all.
    """

    settled: int = 0
    unanswered: int = 0
    imported: dict[str, WriteResult] = field(default_factory=dict)
    failed: dict[str, FileState] = field(default_factory=dict)
    lacking: set[tuple[str, date]] = field(default_factory=set)
    trouble: Trouble | None = None
    retry_after: float = 0.0
    stopped: bool = False

    def answered(self, file: ArchiveFile) -> bool:
        """Whether the file was read, or is known to be no use."""
        return file.path in self.imported or file.path in self.failed
