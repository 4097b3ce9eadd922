"""How often we connect and ask."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.binance.stream.pacing import ReconnectBackoff, SlidingWindow


@given(
    st.integers(1, 10),
    st.floats(0.1, 300),
    st.lists(st.floats(0, 50, allow_subnormal=False), min_size=1, max_size=60),
)
def test_no_window_ever_holds_more_than_its_limit(limit: int, seconds: float, pauses: list[float]) -> None:
    window, now, taken = SlidingWindow(limit, seconds), 0.0, []
    for pause in pauses:
        now += pause
        now += window.delay(now)
        window.take(now)
        taken.append(now)
    for first, last in zip(taken, taken[limit:], strict=False):
        assert last - first >= seconds * (1 - 1e-9)


def test_a_free_window_lets_through_at_once() -> None:
    window = SlidingWindow(2, 10.0)
    window.take(0.0)
    assert window.delay(0.0) == 0
    window.take(0.0)
    assert window.delay(4.0) == pytest.approx(6.0)
    assert window.delay(10.0) == 0


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_waits_are_jittered_bounded_and_never_a_busy_loop(seed: int, failures: int) -> None:
    backoff = ReconnectBackoff(2.0, 60.0, Random(seed))
    for number in range(failures):
        assert 1.0 <= backoff.next("fin") <= min(60.0, 2.0 * 2**number)


def test_waits_differ_between_connections_that_failed_together() -> None:
    waits = sorted(ReconnectBackoff(2.0, 60.0, Random(seed)).next("reset") for seed in range(20))
    assert all(early != late for early, late in pairwise(waits))


def test_a_refusal_by_rule_waits_longer() -> None:
    for reason in ("policy", "handshake_403", "handshake_429", "handshake_451"):
        assert min(ReconnectBackoff(2.0, 60.0, Random(seed)).next(reason) for seed in range(50)) >= 10.0


def test_reset_starts_over() -> None:
    backoff = ReconnectBackoff(2.0, 60.0, Random(1))
    for _ in range(10):
        backoff.next("fin")
    backoff.reset()
    assert backoff.next("fin") <= 2.0
