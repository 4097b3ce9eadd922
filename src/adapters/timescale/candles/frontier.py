"""How far a session has written each symbol: what is newer is new to the table, unless somebody else stored it."""

from __future__ import annotations

from collections.abc import Sequence

from ....model import Candle


class Frontier:
    """The newest minute of each symbol that one session has committed; empty for a new session."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}

    def lies_before(self, rows: Sequence[Candle]) -> bool:
        """True if there are rows, one a symbol, and each is newer than all this session wrote of its symbol.

        A symbol that the session has not written yet has no frontier: the run before may have stored its row.
        """
        newest = self._newest
        symbols = {row.symbol for row in rows}
        return 0 < len(symbols) == len(rows) and all(
            row.open_ms > newest.get(row.symbol, row.open_ms) for row in rows
        )

    def advance(self, rows: Sequence[Candle]) -> None:
        """These rows are committed."""
        newest = self._newest
        for row in rows:
            newest[row.symbol] = max(row.open_ms, newest.get(row.symbol, row.open_ms))

    def forget(self) -> None:
        """The session is another one."""
        self._newest.clear()
