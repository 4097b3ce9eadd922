"""In which stretches of venue time a budget is counted, and what this process has spent in them. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """A window of ``slots`` slots, each of ``slot_s`` venue seconds that begin at multiples of it.

    One slot is a window of the venue's own clock (the minute). Several are a sliding window: a slot counts
    until every instant in it has left the window, so there is one slot more than the window is long.
    """

    slot_s: int
    slots: int

    @property
    def slides(self) -> bool:
        return self.slots > 1

    def slot(self, now: float) -> int:
        """The slot that holds ``now``, venue epoch seconds."""
        return int(now // self.slot_s)


MINUTE = Window(60, 1)
FIVE_MINUTES = Window(10, 31)


class Spending:
    """What this process spent, by slot. ``foreign`` is what the venue says others spent in the present one.

    The venue counts a request when it arrives, which is anywhere between sending and answer. In a minute of the
    venue's clock a request in flight over its end is therefore owed to both; in a sliding window it belongs to
    the latest slot it can be in, which also leaves the window last.
    """

    def __init__(self, window: Window, slot: int) -> None:
        self.window, self.slot = window, slot
        self._spent = {slot: 0}
        self.foreign = 0

    @property
    def own(self) -> int:
        """Spent in the whole window."""
        return sum(self._spent.values())

    @property
    def here(self) -> int:
        """Spent in the present slot."""
        return self._spent[self.slot]

    def charge(self, weight: int) -> None:
        self._spent[self.slot] += weight

    def refund(self, weight: int, *, in_flight: int) -> None:
        """Nothing was sent after all; what is in flight stays owed."""
        self._spent[self.slot] = max(self.here - weight, in_flight)

    def roll(self, slot: int, *, in_flight: int) -> None:
        """Go on to another slot. A clock set back keeps every count, which is safe."""
        if slot < self.slot:
            back = self.slot - slot
            self._spent = {old - back: weight for old, weight in self._spent.items()}
        elif slot > self.slot:
            if self.window.slides:
                self._spent[self.slot] -= in_flight
            first = slot - self.window.slots + 1
            self._spent = {old: weight for old, weight in self._spent.items() if weight and old >= first}
            self._spent[slot] = in_flight
            self.foreign = 0
        self.slot = slot
