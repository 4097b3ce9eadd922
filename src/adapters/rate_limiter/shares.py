"""The arithmetic of the shared book: who gets how much of a window. Pure; the book keeps what this returns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .book import LeaseAsk

SPARE_SLOTS = 8
"""Slots kept besides those of a window: a process whose clock is wrong may write a few that are far away."""


@dataclass(frozen=True, slots=True)
class SlotUse:
    """One slot: weight leased by us all, and what the venue counted beyond that (other programs)."""

    slot: int
    leased: int
    strangers: int = 0


def share(uses: Iterable[SlotUse], ask: LeaseAsk) -> tuple[list[SlotUse], int, int]:
    """What the book holds after ``ask``, the weight granted, and the weight in use in the window after it.

    ``uses`` come in the order in which they were last asked for, and go out so; the oldest are forgotten.
    Debt is booked whatever the limit says, for it is spent. Nothing else takes the window above ``ask.ceiling``, but
    a whole unused window takes any one request, or a limit below one weight would stop everything for ever.
    """
    by_slot = {use.slot: use for use in uses}
    for slot, weight in ask.returned:
        if (use := by_slot.get(slot)) is not None:
            by_slot[slot] = SlotUse(slot, max(0, use.leased - weight), use.strangers)
    here = by_slot.pop(ask.slot, SlotUse(ask.slot, 0))
    before = sum(use.leased + use.strangers for use in by_slot.values() if _counts(use.slot, ask))
    leased = here.leased + ask.debt
    strangers = max(here.strangers, ask.observed - leased) if ask.slots == 1 else 0
    used = before + leased + strangers
    granted = _granted(used, ask)
    by_slot[ask.slot] = SlotUse(ask.slot, leased + granted, strangers)
    kept = list(by_slot.values())[-(ask.slots + SPARE_SLOTS) :]
    return kept, granted, used + granted


def spent_but_a_tenth(ask: LeaseAsk) -> list[SlotUse]:
    """What to take a book for that holds nonsense: as good as spent, for one window."""
    return [SlotUse(ask.slot, ask.limit - ask.limit // 10)]


def _counts(slot: int, ask: LeaseAsk) -> bool:
    return ask.slots > 1 and slot > ask.slot - ask.slots


def _granted(used: int, ask: LeaseAsk) -> int:
    if not ask.want:
        return 0
    if used == 0:
        return max(ask.need, min(ask.want, ask.ceiling))
    room = ask.ceiling - used
    return min(ask.want, room) if room >= max(ask.need, 1) else 0
