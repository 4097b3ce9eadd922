"""How many rows one transaction takes: fewer after one that took too long, more again while it goes well."""

from __future__ import annotations

_TOO_SLOW = frozenset({"statement_timeout", "deadline"})
"""Reasons of ``Unavailable`` that a smaller batch may cure; the same batch would fail for ever."""
_GROWTH = 8
"""One part in so many is added after each commit: some fifty of them lead from the fewest back to the most."""


class BatchSize:
    """``rows`` is the most that the next transaction may take, 1 to ``most``."""

    def __init__(self, most: int) -> None:
        self.rows = most
        self._most = most

    def failed(self, rows: int, reason: str) -> None:
        """A transaction of so many rows did not end well; halves what the next may take if time was the reason."""
        if reason in _TOO_SLOW:
            self.rows = max(1, min(rows, self.rows) // 2)

    def committed(self) -> None:
        """A transaction ended well."""
        self.rows = min(self._most, self.rows + self.rows // _GROWTH + 1)
