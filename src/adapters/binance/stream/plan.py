"""Which symbol is on which connection: pure. A slot is the place of one connection, whoever fills it."""

from __future__ import annotations

from collections.abc import Collection


class ConnectionPlan:
    """Every wanted symbol on exactly one slot, at most ``capacity`` on each, no slot empty.

    Symbols stay where they are when others come and go: a move costs frames. Slot numbers are never used
    again.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, was {capacity}")
        self._capacity = capacity
        self._slots: dict[int, set[str]] = {}
        self._place: dict[str, int] = {}
        self._made = 0

    @property
    def slots(self) -> dict[int, frozenset[str]]:
        """The symbols of each slot."""
        return {number: frozenset(symbols) for number, symbols in self._slots.items()}

    def slot_of(self, symbol: str) -> int | None:
        """Where the symbol is, None if it is not wanted."""
        return self._place.get(symbol)

    def set(self, symbols: Collection[str]) -> None:
        """Want exactly these: drop the others, spread the new ones evenly."""
        wanted = set(symbols)
        for symbol in [symbol for symbol in self._place if symbol not in wanted]:
            self._remove(symbol)
        while len(self._slots) * self._capacity < len(wanted):
            self._new_slot()
        for symbol in sorted(wanted - self._place.keys()):
            self._put(symbol, self._least(avoid=None))

    def move(self, symbol: str) -> None:
        """Put a symbol on another slot, a new one if the others are full. Unknown symbols are left alone."""
        old = self._place.get(symbol)
        if old is None:
            return
        new = self._least(avoid=old)
        self._remove(symbol)
        self._put(symbol, new)

    def _least(self, avoid: int | None) -> int:
        """The slot with the fewest symbols that has room, made if there is none."""
        room = [
            (len(symbols), number)
            for number, symbols in self._slots.items()
            if number != avoid and len(symbols) < self._capacity
        ]
        return min(room)[1] if room else self._new_slot()

    def _new_slot(self) -> int:
        number = self._made
        self._made += 1
        self._slots[number] = set()
        return number

    def _put(self, symbol: str, number: int) -> None:
        self._slots[number].add(symbol)
        self._place[symbol] = number

    def _remove(self, symbol: str) -> None:
        number = self._place.pop(symbol)
        self._slots[number].discard(symbol)
        if not self._slots[number]:
            del self._slots[number]
