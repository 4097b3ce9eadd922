"""Who gets how much of a window: never more than there is, something for everybody, everything for one alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.rate_limiter.book import LeaseAsk
from src.adapters.rate_limiter.lease import BLOCKS
from src.adapters.rate_limiter.shares import SPARE_SLOTS, SlotUse, share, spent_but_a_tenth

LIMIT = 100
BLOCK = LIMIT // BLOCKS
SLOT = 1_000

_windows = st.sampled_from([1, 4])


def _ask(slot: int = SLOT, *, slots: int = 1, limit: int = LIMIT, **given_: Any) -> LeaseAsk:
    return LeaseAsk("fapi", slot, slots, limit, **{"ceiling": limit, **given_})


@dataclass
class Twin:
    """Every slot there ever was, counted up from the beginning at every question."""

    leased: Counter[int] = field(default_factory=Counter)
    strangers: Counter[int] = field(default_factory=Counter)

    def used(self, ask: LeaseAsk) -> int:
        """In the window that ends with the ask's slot, and in slots that some clock has seen already."""
        slots = {*self.leased, *self.strangers}
        inside = [
            slot for slot in slots if (slot > ask.slot - ask.slots if ask.slots > 1 else slot == ask.slot)
        ]
        return sum(self.leased[slot] + self.strangers[slot] for slot in inside)

    def book(self, ask: LeaseAsk) -> None:
        """What the ask tells, before anything is granted."""
        for slot, weight in ask.returned:
            self.leased[slot] -= min(weight, self.leased[slot])
        self.leased[ask.slot] += ask.debt
        if ask.slots == 1:
            unknown = ask.observed - self.leased[ask.slot]
            self.strangers[ask.slot] = max(self.strangers[ask.slot], unknown)


_asked = st.tuples(
    st.integers(-1, 2),
    st.integers(0, 30),
    st.integers(0, 40),
    st.integers(1, 30),
    st.integers(20, LIMIT),
    st.integers(0, 120),
    st.lists(st.tuples(st.integers(-3, 1), st.integers(0, 40)), max_size=2),
)
"""Steps of the clock, debt, want, need, ceiling, what the venue counted, and what goes back to which slot."""


@given(slots=_windows, asked=st.lists(_asked, max_size=8))
def test_whatever_is_asked_the_answer_is_the_most_that_fits(slots: int, asked: list[tuple[Any, ...]]) -> None:
    twin, uses, now = Twin(), list[SlotUse](), SLOT
    for step, debt, want, need, ceiling, observed, back in asked:
        now += step
        returned = tuple((now + before, weight) for before, weight in back)
        ask = _ask(
            now, slots=slots, debt=debt, want=want, need=min(need, want), ceiling=ceiling, observed=observed,
            returned=returned,
        )  # fmt: skip
        twin.book(ask)
        before = twin.used(ask)
        uses, granted, total = share(uses, ask)
        if not before:
            # A whole unused window takes any one request.
            assert granted == max(ask.need, min(want, ceiling)) if want else granted == 0
        else:
            room = max(ceiling - before, 0)
            assert granted == (min(want, room) if room >= ask.need else 0)
        assert total == before + granted
        twin.leased[now] += granted
        assert {use.slot: (use.leased, use.strangers) for use in uses if use.leased or use.strangers} == {
            slot: (twin.leased[slot], twin.strangers[slot])
            for slot in {*twin.leased, *twin.strangers}
            if twin.leased[slot] or twin.strangers[slot]
        }


@given(
    slots=_windows,
    asks=st.lists(st.tuples(st.integers(0, 1), st.integers(1, BLOCK), st.integers(1, LIMIT)), max_size=60),
)
def test_what_all_have_is_never_more_than_the_budget(slots: int, asks: list[tuple[int, int, int]]) -> None:
    uses, now = list[SlotUse](), SLOT
    given_out: Counter[int] = Counter()
    for step, need, want in asks:
        now += step
        uses, granted, _ = share(uses, _ask(now, slots=slots, want=max(want, need), need=need))
        given_out[now] += granted
        assert sum(weight for slot, weight in given_out.items() if slot > now - slots) <= LIMIT


@given(slots=_windows, needs=st.lists(st.integers(1, BLOCK), min_size=1, max_size=BLOCKS))
def test_every_process_gets_some_however_greedy_those_before_it_were(slots: int, needs: list[int]) -> None:
    """A process asks for a block, a tenth; so ten find something each, and for more there are other windows."""
    uses = list[SlotUse]()
    for need in needs:
        uses, granted, _ = share(uses, _ask(slots=slots, want=BLOCK, need=need))
        assert granted >= need


@given(slots=_windows, limit=st.integers(1, 3000))
def test_one_alone_gets_everything_and_then_nothing(slots: int, limit: int) -> None:
    uses, had = list[SlotUse](), 0
    block = max(1, limit // BLOCKS)
    for _ in range(2 * BLOCKS):
        uses, granted, total = share(uses, _ask(slots=slots, limit=limit, want=block, need=1))
        had += granted
        assert total == had
    assert had == limit
    assert share(uses, _ask(slots=slots, limit=limit, want=1, need=1))[1] == 0
    # When the window is over, and not before, it begins anew.
    assert share(uses, _ask(SLOT + slots - 1, slots=slots, limit=limit, want=1, need=1))[1] == 0
    assert share(uses, _ask(SLOT + slots, slots=slots, limit=limit, want=1, need=1))[1] == 1


def test_less_than_is_needed_is_not_given() -> None:
    uses, *_ = share([], _ask(want=95, need=1))
    assert share(uses, _ask(want=20, need=6))[1:] == (0, 95)
    assert share(uses, _ask(want=20, need=5))[1:] == (5, 100)


def test_who_wants_nothing_gets_nothing() -> None:
    assert share([], _ask(need=5))[1:] == (0, 0)


def test_debt_is_booked_above_the_limit_and_leaves_nothing_for_others() -> None:
    uses, granted, total = share([], _ask(debt=LIMIT + 30, want=10, need=1))
    assert (granted, total) == (0, LIMIT + 30)
    assert share(uses, _ask(want=1, need=1))[1:] == (0, LIMIT + 30)


def test_a_request_heavier_than_the_ceiling_goes_into_an_unused_window_only() -> None:
    assert share([], _ask(want=40, need=40, ceiling=20))[1] == 40
    assert share([], _ask(want=40, need=5, ceiling=20))[1] == 20
    assert share([SlotUse(SLOT, 1)], _ask(want=40, need=40, ceiling=20))[1] == 0


def test_what_other_programs_spend_counts_and_is_not_counted_twice() -> None:
    uses, granted, total = share([SlotUse(SLOT, 10)], _ask(observed=50, want=5, need=1))
    assert (uses, granted, total) == ([SlotUse(SLOT, 15, strangers=40)], 5, 55)
    # The venue's count holds ours too, and a smaller one is an older one.
    for observed in (55, 20, 0):
        assert share(uses, _ask(observed=observed))[2] == 55
    # In a sliding window the venue tells no count of a slot; what is known of one counts while it is in the window.
    assert share([], _ask(slots=4, observed=50))[2] == 0
    assert share([SlotUse(SLOT - 3, 10, strangers=20)], _ask(slots=4))[2] == 30


def test_what_goes_back_is_there_for_the_next_and_no_slot_comes_below_nothing() -> None:
    uses, *_ = share([], _ask(slots=4, want=LIMIT, need=1))
    later = _ask(SLOT + 1, slots=4, want=30, need=1)
    assert share(uses, later)[1] == 0
    back = _ask(SLOT + 1, slots=4, want=30, need=1, returned=((SLOT, 20), (SLOT - 99, 50)))
    assert share(uses, back)[:2] == ([SlotUse(SLOT, 80), SlotUse(SLOT + 1, 20)], 20)
    too_much = _ask(SLOT + 1, slots=4, returned=((SLOT, 10 * LIMIT),))
    assert share(uses, too_much)[2] == 0


@pytest.mark.parametrize("slots", [1, 4])
def test_slots_are_forgotten_in_the_order_of_asking(slots: int) -> None:
    """Clocks that are far off fill the spare places; what this window has stays as long as it is asked about."""
    uses = [SlotUse(SLOT, 7)]
    for number in range(3 * (slots + SPARE_SLOTS)):
        uses, *_ = share(uses, _ask(10_000_000 + 100 * number, slots=slots, want=1, need=1))
        uses, *_ = share(uses, _ask(slots=slots))
        assert SlotUse(SLOT, 7) in uses
        assert len(uses) <= slots + SPARE_SLOTS
    for number in range(slots + SPARE_SLOTS - 1):
        uses, *_ = share(uses, _ask(20_000_000 + 100 * number, slots=slots, want=1, need=1))
        assert SlotUse(SLOT, 7) in uses
    uses, *_ = share(uses, _ask(30_000_000, slots=slots, want=1, need=1))
    assert SlotUse(SLOT, 7) not in uses


@given(slots=_windows, limit=st.integers(1, 3000))
def test_in_place_of_nonsense_a_tenth_is_left(slots: int, limit: int) -> None:
    ask = _ask(slots=slots, limit=limit, want=limit, need=1)
    granted = share(spent_but_a_tenth(ask), ask)[1]
    assert granted == limit // 10
