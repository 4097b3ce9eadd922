"""Minutes that the venue did not have when asked, and when to ask for them again."""

from __future__ import annotations

from collections.abc import Collection, Container

MINUTE = 60.0
_MOST_ENTRIES = 50_000
"""About 10 MB. What does not fit is asked for with every scan instead, which is bounded too."""
_LONGEST = 60

_Key = tuple[str, int]


class Absences:
    """Asks again after 1, 2, 4 .. 60 minutes, in venue seconds; forgets with the process. Pure."""

    def __init__(self, limit: int = _MOST_ENTRIES) -> None:
        self._limit = limit
        self._entries: dict[_Key, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def want(self, key: _Key, at: float) -> bool:
        """Ask for a minute at ``at``; true if it was not known yet."""
        if key in self._entries or len(self._entries) >= self._limit:
            return False
        self._entries[key] = (at, 0)
        return True

    def absent(self, key: _Key, now: float) -> None:
        """The venue did not have it now; the waits double with every time."""
        _, times = self._entries.get(key, (0.0, 0))
        if key in self._entries or len(self._entries) < self._limit:
            self._entries[key] = (now + min(2**times, _LONGEST) * MINUTE, min(times + 1, 10))

    def settle(self, key: _Key) -> None:
        """The minute is here."""
        self._entries.pop(key, None)

    def waiting(self, now: float) -> Collection[_Key]:
        """The minutes that are not to be asked for yet."""
        return [key for key, (at, _) in self._entries.items() if at > now]

    def due(self, now: float, without: Container[str] = ()) -> list[_Key]:
        """The minutes to be asked for now, except those of the symbols ``without``."""
        return [key for key, (at, _) in self._entries.items() if at <= now and key[0] not in without]

    def next_due(self, without: Container[str] = ()) -> float | None:
        """When the first minute is due, except those of the symbols ``without``."""
        return min((at for key, (at, _) in self._entries.items() if key[0] not in without), default=None)

    def forget(self, before_ms: int) -> None:
        """Drop minutes that opened before ``before_ms``."""
        self._entries = {key: entry for key, entry in self._entries.items() if key[1] >= before_ms}
