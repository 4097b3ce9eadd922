"""Faults match what they select, count what they did, and end when they should."""

from __future__ import annotations

import pytest

from src.sandbox.clock import SandboxClock
from src.sandbox.faults import Faults, Kind
from src.sandbox.market.candles import MINUTE_MS
from src.sandbox.rest.limits import FIRST_BAN_MS, PATIENCE, WINDOW_MS, Budget, SlidingBudget
from src.sandbox.stats import Stats


def test_a_fault_fires_for_what_it_selects_only() -> None:
    faults = Faults()
    fault = faults.add(Kind.MUTE, symbol="AUSDT", connection=1)
    assert faults.hit(Kind.MUTE, symbol="BUSDT", connection=1) is None
    assert faults.hit(Kind.MUTE, symbol="AUSDT", connection=2) is None
    assert faults.hit(Kind.SILENCE, symbol="AUSDT", connection=1) is None
    assert faults.hit(Kind.MUTE, symbol="AUSDT", connection=1) is fault
    assert (fault.fired, faults.fired["mute"]) == (1, 1)


def test_a_counted_fault_ends_with_its_last_effect() -> None:
    faults = Faults()
    faults.add(Kind.DROP_CLOSE, left=2)
    assert [faults.hit(Kind.DROP_CLOSE, symbol="AUSDT") is not None for _ in range(3)] == [True, True, False]
    assert not faults.any(Kind.DROP_CLOSE)
    assert faults.fired["drop_close"] == 2


def test_a_share_is_kept() -> None:
    faults = Faults()
    fault = faults.add(Kind.DUPLICATE, share=0.25)
    for _ in range(4_000):
        faults.hit(Kind.DUPLICATE)
    assert 850 < fault.fired < 1150


def test_clearing_ends_all_and_keeps_the_counts() -> None:
    faults = Faults()
    hanging = faults.add(Kind.REST, mode="hang", path="klines")
    assert faults.hit(Kind.REST, path="/fapi/v1/time") is None
    assert faults.hit(Kind.REST, path="/fapi/v1/klines") is hanging
    faults.clear()
    faults.clear()
    assert hanging.cleared.is_set()
    assert faults.as_list() == []
    assert faults.fired["rest"] == 1
    with pytest.raises(ValueError, match="no such fault: 7"):
        faults.number(7)


def budget(start_ms: int, *, limit: int = 10) -> Budget:
    clock = SandboxClock(speed=1e-9, start_ms=start_ms, anchor=None)  # a clock that stands still
    return Budget(clock, Stats(), Faults(), limit)


def test_over_the_limit_is_429_and_going_on_a_ban() -> None:
    now = 29_000_000 * MINUTE_MS + 12_000
    one = budget(now)
    assert one.charge(10) is None
    refusals = [one.charge(1) for _ in range(PATIENCE + 2)]
    assert {refusal.status for refusal in refusals[:PATIENCE] if refusal} == {429}
    first = refusals[0]
    assert first is not None
    assert first.retry_after == "48", "to the end of the minute"
    assert "current limit is 10 requests per minute" in first.text
    ban = refusals[PATIENCE]
    assert ban is not None
    assert ban.status == 418
    assert f"IP(127.0.0.1) banned until {now + FIRST_BAN_MS}." in ban.text
    assert ban.retry_after == "120"
    one.forgive()
    used = one.used
    assert one.charge(1) is not None, "the weight stays spent"
    assert one.used == used + 1, "a refused request costs too"


def test_a_ban_grows() -> None:
    one = budget(29_000_000 * MINUTE_MS)
    one.spend(100)
    lengths = []
    for _ in range(3):
        while (refusal := one.charge(1)) is None or refusal.status != 418:
            assert refusal is not None
        lengths.append(int(refusal.retry_after or 0))
        one.forgive()
    assert lengths == [120, 240, 480]


def test_permits_come_back_as_the_window_slides() -> None:
    clock = SandboxClock(speed=1e-9, start_ms=10**12, anchor=None)
    address = Budget(clock, Stats(), Faults(), 2400)
    sliding = SlidingBudget(clock, address, 3)
    for _ in range(3):
        assert sliding.charge() is None
        clock.start_ms += 60_000
    refused = sliding.charge()
    assert refused is not None
    assert (refused.status, refused.retry_after) == (429, str((WINDOW_MS - 180_000) // 1000))
    clock.start_ms += WINDOW_MS - 180_000
    assert sliding.charge() is None, "the first one is over five minutes old"
    again = sliding.charge()
    assert again is not None
    assert (again.status, again.retry_after) == (429, "60")


def test_going_on_over_a_sliding_limit_bans_the_address() -> None:
    clock = SandboxClock(speed=1e-9, start_ms=10**12, anchor=None)
    address = Budget(clock, Stats(), Faults(), 2400)
    sliding = SlidingBudget(clock, address, 1)
    answers = [sliding.charge() for _ in range(PATIENCE + 2)]
    assert [one and one.status for one in answers] == [None, *[429] * PATIENCE, 418]
    standing = address.charge(1)
    assert standing is not None
    assert standing.status == 418
