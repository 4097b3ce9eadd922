"""What becomes of the lines of a file: rows that are kept, as arrays, and a count and a note of each that is not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

from ....errors import BadData

KEPT_REJECTS = 100
"""Refused rows that are kept word for word; all of them are counted."""

Row = tuple[str | None, ...]
T = TypeVar("T")


@dataclass(slots=True)
class Rejected:
    """A row that was refused, as text. ``open_ms`` is 0 where not even that could be read."""

    reason: str
    detail: str
    raw: str
    open_ms: int = 0


@dataclass(slots=True, kw_only=True)
class CountedRows(ABC):
    """Rows as arrays of one length, which a subclass adds.

    ``lines`` counts every row of the file: those here, ``duplicates`` of them, and all in ``reasons``.
    """

    lines: int = 0
    duplicates: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    rejected: list[Rejected] = field(default_factory=list)
    inexact: Counter[str] = field(default_factory=Counter)

    @abstractmethod
    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Self:
        """The same with some of its rows, or all in another order."""

    @abstractmethod
    def text(self, at: int) -> str:
        """A row as text: what it said, no matter how it was written."""

    @abstractmethod
    def time_ms(self, at: int) -> int: ...

    def note(self, rejected: Rejected) -> None:
        """Count a line that is no row here."""
        self.reasons[rejected.reason] += 1
        if len(self.rejected) < KEPT_REJECTS:
            self.rejected.append(rejected)

    def refuse(self, keep: npt.NDArray[np.bool_], reason: str, detail: str) -> Self:
        """The table without the rows that are not to be kept, which are counted and noted."""
        for at in np.flatnonzero(~keep)[: max(0, KEPT_REJECTS - len(self.rejected))]:
            self.rejected.append(Rejected(reason, detail, self.text(int(at)), self.time_ms(int(at))))
        if dropped := int((~keep).sum()):
            self.reasons[reason] += dropped
        return self.take(keep)

    def usable(self, rows: Iterable[Row], read: Callable[[Row], tuple[T, Iterable[str]]]) -> list[T]:
        """What ``read`` makes of single rows, with the names of inexact values; those it refuses are noted."""
        found = []
        for cells in rows:
            try:
                value, inexact = read(cells)
            except BadData as error:
                self.note(Rejected(error.reason, str(error), ",".join(cell or "" for cell in cells)))
                continue
            self.inexact.update(inexact)
            found.append(value)
        return found
