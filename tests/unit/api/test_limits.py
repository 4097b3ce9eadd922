"""How often somebody may ask, and who counts as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.api.grpc.guarding import address_of
from src.api.limits import _MOST_KEYS, Limits, Rates, network_of


def taken(rates: Rates, key: str, now: float, tries: int = 1_000) -> int:
    """How many are taken in one moment."""
    return sum(rates.wait(key, now) == 0 for _ in range(tries))


def test_a_sixth_of_a_minute_may_come_at_once_and_no_more() -> None:
    rates = Rates(600)
    assert taken(rates, "a", 0.0) == 100
    assert rates.wait("a", 0.0) == pytest.approx(0.1)
    assert taken(rates, "a", 1.0) == 10
    assert taken(rates, "a", 3_600.0) == 100, "who was silent for an hour has not saved up an hour's"


def test_who_waits_as_long_as_it_is_told_is_taken() -> None:
    rates = Rates(60)
    assert taken(rates, "a", 0.0) == 10
    wait = rates.wait("a", 0.25)
    assert wait == pytest.approx(0.75)
    assert rates.wait("a", 0.25 + wait / 2) > 0
    assert rates.wait("a", 0.26 + wait) == 0


def test_asking_in_vain_costs_nothing() -> None:
    rates = Rates(60)
    taken(rates, "a", 0.0)
    for step in range(99):
        assert rates.wait("a", step / 100) > 0
    assert rates.wait("a", 1.01) == 0


def test_each_has_its_own_and_a_small_rate_still_takes_one() -> None:
    rates = Rates(3)
    assert [taken(rates, key, 0.0) for key in ("a", "b")] == [1, 1]
    assert rates.wait("a", 0.0) == pytest.approx(20.0)


def test_of_those_that_ask_only_the_newest_are_remembered() -> None:
    rates = Rates(60)
    assert taken(rates, "old", 0.0) == 10
    for number in range(_MOST_KEYS - 1):
        rates.wait(str(number), 0.0)
    assert rates.wait("old", 0.0) > 0, "it has just asked"
    for number in range(_MOST_KEYS):
        rates.wait(f"other {number}", 0.0)
    assert len(rates._left) == _MOST_KEYS
    assert rates.wait("old", 0.0) == 0


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(60, 600))
def test_no_more_is_taken_than_the_rate_and_what_may_come_at_once(
    pauses: list[float], per_minute: int
) -> None:
    rates, now, count = Rates(per_minute), 0.0, 0
    for pause in pauses:
        now += pause
        count += taken(rates, "a", now, 40)
        assert count <= per_minute / 6 + now * per_minute / 60 + 1e-6


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("", "other"),
        ("unix", "other"),
    ],
)
def test_who_shares_a_limit(address: str, who: str) -> None:
    assert network_of(address) == who


@pytest.mark.parametrize(
    ("peer", "who"),
    [
        ("ipv4:10.0.0.1:5000", "10.0.0.1"),
        ("ipv6:%5B2001:db8:1:2::7%5D:5000", "2001:db8:1:2::/64"),
        ("ipv6:[::1]:5000", "::/64"),
        ("unix:", "other"),
    ],
)
def test_who_calls_over_grpc_shares_it_too(peer: str, who: str) -> None:
    assert address_of(peer) == who


def test_the_limits_are_those_that_the_fault_table_names() -> None:
    limits = Limits()
    assert (limits.connections, limits.in_flight) == (64, 16)
    assert (limits.body_bytes, limits.header_bytes, limits.url_bytes) == (65_536, 16_384, 4_096)
    assert (limits.receipt_s, limits.handler_s) == (10.0, 30.0)
    assert limits.whole_s == 44.0
