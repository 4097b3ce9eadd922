from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from prometheus_client import Metric

from src.adapters.rate_limiter import AGED_S, AGEING_S, RateLimiter
from src.adapters.rate_limiter.budgets import Budgets
from src.clock import VenueClock
from src.errors import RateLimited
from src.ports import Priority
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.fakes import EPOCH

from .bench import Bench

FAPI = {"budget": "fapi"}


async def test_a_minute_takes_its_limit_and_the_next_begins_at_the_venues_full_minute() -> None:
    bench = Bench(limit=10, now=EPOCH + 50)
    await bench.ask("a", 6)
    await bench.end("a")
    await bench.ask("b", 4)
    await bench.end("b")
    await bench.ask("c", 1)
    await bench.advance(9)
    assert bench.served == ["a", "b"]
    await bench.advance(1)
    assert bench.served == ["a", "b", "c"]
    await bench.close()


async def test_a_request_in_flight_over_the_full_minute_is_charged_to_both() -> None:
    bench = Bench(limit=10)
    await bench.ask("slow", 6)
    await bench.advance(60)
    assert bench.limiter.view().used == 6
    await bench.ask("large", 5)
    assert bench.served == ["slow"]
    await bench.end("slow")
    assert bench.limiter.view().used == 6
    assert bench.served == ["slow"]
    await bench.advance(60)
    assert bench.served == ["slow", "large"]
    await bench.close()


async def test_the_venues_count_corrects_upward_and_never_downward() -> None:
    bench = Bench(limit=100, now=EPOCH + 30)
    await bench.ask("a", 10)
    await bench.end("a")
    bench.limiter.observe(95, age=1)
    assert bench.limiter.view().used == 95
    bench.limiter.observe(20, age=1)
    assert bench.limiter.view().used == 95
    await bench.ask("b", 6)
    assert bench.served == ["a"]
    await bench.advance(60)
    assert bench.served == ["a", "b"]
    assert bench.limiter.view().used == 6
    await bench.close()


async def test_a_count_told_across_the_full_minute_is_left_out() -> None:
    bench = Bench(limit=100, now=EPOCH + 59)
    await bench.advance(2)
    bench.limiter.observe(95, age=3)
    assert bench.limiter.view().used == 0
    bench.limiter.observe(95, age=0.5)
    assert bench.limiter.view().used == 95
    await bench.close()


async def test_the_roll_call_goes_first_and_finds_budget_that_others_may_not_take() -> None:
    bench = Bench(limit=10)
    for number in range(10):
        await bench.ask(f"history{number}", 1, Priority.HISTORY)
    assert len(bench.served) == 7
    for number in range(3):
        await bench.ask(f"roll{number}", 1, Priority.ROLL_CALL)
    assert bench.served[7:] == ["roll0", "roll1", "roll2"]
    await bench.close()


async def test_of_two_waiting_the_better_priority_is_served_first() -> None:
    bench = Bench(limit=10)
    await bench.ask("fill", 10)
    await bench.end("fill")
    await bench.ask("verify", 1, Priority.VERIFY)
    await bench.ask("repair", 1, Priority.REPAIR)
    await bench.ask("roll", 1, Priority.ROLL_CALL)
    await bench.advance(60)
    assert bench.served == ["fill", "roll", "repair", "verify"]
    await bench.close()


async def test_the_lowest_priority_is_served_in_bounded_time_under_endless_roll_calls() -> None:
    bench = Bench(limit=4)
    await bench.ask("first", 4)
    await bench.end("first")
    await bench.ask("verify", 1, Priority.VERIFY)
    minutes = 0
    while "verify" not in bench.served:
        for number in range(6):
            await bench.ask(f"roll{minutes}.{number}")
        await bench.advance(60)
        minutes += 1
        for name in [
            name for name in bench.served if name.startswith("roll") and not bench.tasks[name].done()
        ]:
            await bench.end(name)
        assert minutes <= (AGED_S + len(Priority) * AGEING_S) / 60
    assert minutes > 1
    await bench.close()


async def test_a_pause_stops_everyone_and_a_shorter_one_does_not_end_it() -> None:
    bench = Bench()
    bench.limiter.pause(60)
    bench.limiter.pause(5)
    await bench.ask("a")
    await bench.advance(59.5)
    assert bench.served == []
    assert bench.limiter.view().ban_until == EPOCH + 60
    await bench.advance(0.5)
    assert bench.served == ["a"]
    assert bench.limiter.view().ban_until == 0
    await bench.close()


@pytest.mark.parametrize("step", [-86_400.0, 86_400.0])
async def test_a_clock_that_is_set_during_a_pause_leaves_it_as_long_as_it_was(step: float) -> None:
    bench = Bench()
    bench.limiter.pause(60)
    await bench.ask("a")
    bench.clock.set(EPOCH + step)
    await bench.advance(59.5)
    assert bench.served == []
    assert bench.limiter.view().ban_until == EPOCH + step + 60
    await bench.advance(0.5)
    assert bench.served == ["a"]
    await bench.close()


async def test_a_long_ban_is_raised_to_those_waiting_and_to_those_who_come() -> None:
    bench = Bench(limit=1)
    await bench.ask("a")
    await bench.ask("waiting")
    bench.limiter.pause(3600)
    await bench.settle()
    with pytest.raises(RateLimited) as caught:
        await bench.tasks["waiting"]
    assert caught.value.retry_after == pytest.approx(3600)
    bench.clock.advance(600)
    with pytest.raises(RateLimited) as caught:
        async with bench.limiter.permit(1, Priority.ROLL_CALL):
            pass
    assert caught.value.retry_after == pytest.approx(3000)
    await bench.close()


async def test_in_flight_is_bounded_and_low_priorities_leave_room() -> None:
    bench = Bench(max_in_flight=10)
    for number in range(12):
        await bench.ask(f"history{number}", 1, Priority.HISTORY)
    assert len(bench.served) == 7
    for number in range(4):
        await bench.ask(f"roll{number}")
    assert [name for name in bench.served if name.startswith("roll")] == ["roll0", "roll1", "roll2"]
    await bench.end("history0")
    assert "roll3" in bench.served
    await bench.close()


async def test_cancelling_a_waiter_lets_the_others_through_and_costs_nothing() -> None:
    bench = Bench(limit=10)
    await bench.ask("first", 5)
    await bench.ask("large", 6)
    await bench.ask("small", 4)
    assert bench.served == ["first"]
    bench.tasks["large"].cancel()
    await bench.settle()
    assert bench.served == ["first", "small"]
    assert bench.limiter.view().used == 9
    await bench.close()


async def test_cancelled_in_the_step_in_which_the_permit_comes_gives_it_back() -> None:
    bench = Bench(limit=10)
    await bench.ask("first", 10)
    await bench.end("first")
    await bench.ask("second", 10)
    bench.clock.advance(60)
    bench.limiter.adopt_venue_limit(10**9)  # grants, but the task has not run yet
    assert bench.limiter.view().in_flight == 1
    bench.tasks["second"].cancel()
    await bench.settle()
    view = bench.limiter.view()
    assert (view.in_flight, view.used, bench.served) == (0, 0, ["first"])
    await bench.close()


async def test_a_lowered_venue_limit_is_followed_and_a_raised_one_is_not_exceeded() -> None:
    bench = Bench(limit=1800)
    bench.limiter.adopt_venue_limit(1200)
    assert bench.limiter.view().limit == 900
    bench.limiter.adopt_venue_limit(6000)
    assert bench.limiter.view().limit == 1800
    await bench.close()


async def test_a_limit_below_one_request_serves_it_in_an_unused_minute() -> None:
    bench = Bench(limit=100)
    bench.limiter.adopt_venue_limit(2)
    await bench.ask("a", 5, Priority.VERIFY)
    assert bench.served == ["a"]
    await bench.close()


async def test_a_clock_set_back_grants_no_second_budget() -> None:
    bench = Bench(limit=10, now=EPOCH + 30)
    await bench.ask("a", 10)
    await bench.end("a")
    bench.clock.set(EPOCH - 300)
    await bench.ask("b", 1)
    assert bench.served == ["a"]
    await bench.advance(60)
    assert bench.served == ["a", "b"]
    await bench.close()


@pytest.mark.parametrize("weight", [0, -1, 101])
async def test_an_impossible_weight_is_refused(weight: int) -> None:
    bench = Bench(limit=100)
    with pytest.raises(ValueError, match="weight"):
        async with bench.limiter.permit(weight, Priority.ROLL_CALL):
            pass
    await bench.close()


async def test_waiters_wake_by_themselves_on_a_fast_clock() -> None:
    # From the beginning of a minute: at its end a request of it would be seen in the next one.
    clock = VenueClock(speed=60, start=EPOCH // 60 * 60)
    limiter = RateLimiter(clock, Metrics(), limit=3)
    minutes: set[int] = set()

    async def request() -> None:
        async with limiter.permit(1, Priority.ROLL_CALL):
            minutes.add(int(clock.now() // 60))

    async with asyncio.timeout(60):
        await asyncio.gather(*(request() for _ in range(9)))
    assert len(minutes) >= 3


async def test_waiters_wake_at_the_end_of_a_pause_by_themselves() -> None:
    clock = VenueClock(speed=100)
    limiter = RateLimiter(clock, Metrics())
    until = clock.now() + 30
    limiter.pause(30)
    async with asyncio.timeout(60), limiter.permit(1, Priority.VERIFY):
        assert clock.now() >= until


async def test_gauges_show_the_budget_and_who_waits() -> None:
    bench = Bench(limit=10)
    read: Callable[..., float | None] = bench.metrics.registry.get_sample_value
    await bench.ask("a", 7)
    await bench.ask("b", 7, Priority.HISTORY)
    bench.limiter.pause(30)
    assert read("marketd_rate_limit_used", FAPI) == 7
    assert read("marketd_rate_limit_allowed", FAPI) == 10
    assert read("marketd_rate_limit_ban_until_timestamp_seconds", FAPI) == EPOCH + 30
    assert read("marketd_rate_limit_waiting_requests", FAPI | {"priority": "history"}) == 1
    await bench.close()
    assert read("marketd_rate_limit_waiting_requests", FAPI | {"priority": "history"}) == 0


async def test_what_the_venue_does_not_count_has_no_limit_to_be_a_share_of() -> None:
    metrics = Metrics()
    budgets = Budgets(VenueClock(), metrics)
    async with budgets.archive.permit(1, Priority.HISTORY):
        assert metrics.registry.get_sample_value("marketd_rate_limit_used", {"budget": "archive"}) == 1
    allowed = {name for family in metrics.registry.collect() for name in _budgets_of(family)}
    assert allowed == {"fapi", "futures_data", "funding", "spot"}


def _budgets_of(family: Metric) -> set[str]:
    return {one.labels["budget"] for one in family.samples if one.name == "marketd_rate_limit_allowed"}


async def test_an_error_inside_the_block_gives_the_permit_back() -> None:
    bench = Bench(limit=10)

    async def fail() -> Awaitable[None]:
        async with bench.limiter.permit(3, Priority.ROLL_CALL):
            raise OSError("reset")

    with pytest.raises(OSError, match="reset"):
        await fail()
    view = bench.limiter.view()
    assert (view.in_flight, view.used) == (0, 3)
    await eventually(lambda: bench.limiter.view().waiting == 0)


async def test_another_limit_is_kept_within_what_the_venue_allows_and_wakes_who_waits() -> None:
    bench = Bench(limit=10)
    bench.limiter.adopt_venue_limit(80)
    await bench.ask("a", 10)
    await bench.ask("b", 10)
    assert bench.served == ["a"]
    bench.limiter.configure(30)
    await bench.settle()
    assert bench.served == ["a", "b"], "who waits is served at once"
    assert bench.limiter.view().limit == 30
    bench.limiter.configure(1000)
    assert bench.limiter.view().limit == 60
    for name in ("a", "b"):
        await bench.end(name)
    await bench.close()
