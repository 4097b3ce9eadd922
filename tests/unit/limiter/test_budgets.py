"""All budgets of a process, and the keeper that leases them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from src.adapters.rate_limiter import Budgets, RateLimiter
from src.adapters.rate_limiter.budgets import FUNDING_LIMIT, FUTURES_DATA_LIMIT
from src.clock import VenueClock
from src.errors import Misconfigured, RateLimited, Unavailable
from src.ports import Priority
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.fakes import EPOCH, StepClock

from .book import MemoryBook

SPEED = 100.0


@asynccontextmanager
async def running(*budgets: Budgets) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(one.run(), name="budgets") for one in budgets]
        yield
        for task in made:
            task.cancel()


def shared(book: MemoryBook, *, speed: float = 1.0, limit: int = 100) -> Budgets:
    # A minute has just begun, so that no test at speed 1 sees the next one.
    return Budgets(VenueClock(speed=speed, start=EPOCH), Metrics(), fapi_limit=limit, book=book)


async def spend(limiter: RateLimiter, number: int, priority: Priority = Priority.ROLL_CALL) -> None:
    for _ in range(number):
        async with limiter.permit(1, priority):
            pass


async def test_without_a_book_each_budget_counts_for_itself() -> None:
    budgets = Budgets(StepClock(), Metrics(), fapi_limit=5)
    await spend(budgets.fapi, 5)
    await spend(budgets.futures_data, 855, Priority.METRICS)
    await spend(budgets.archive, 2000, Priority.VERIFY)
    assert budgets.futures_data.view().limit == FUTURES_DATA_LIMIT
    assert (budgets.funding.view().limit, budgets.funding.view().used) == (FUNDING_LIMIT, 0)
    assert budgets.fapi.view().used == 5
    await budgets.close()


async def test_a_sliding_budget_comes_back_as_its_spending_leaves_the_window() -> None:
    clock = StepClock(EPOCH)
    budgets = Budgets(clock, Metrics())
    await spend(budgets.futures_data, 400)
    clock.advance(200)
    await spend(budgets.futures_data, 500)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await spend(budgets.futures_data, 1)
    clock.advance(99)
    assert budgets.futures_data.view().used == 900
    clock.advance(11)
    assert budgets.futures_data.view().used == 500
    await spend(budgets.futures_data, 400)


@pytest.mark.parametrize("first", ["fapi", "futures_data", "funding"])
async def test_one_refusal_of_the_host_stops_all_budgets_of_the_host_and_no_others(first: str) -> None:
    budgets = Budgets(StepClock(), Metrics())
    getattr(budgets, first).pause(3600)
    for limiter in (budgets.fapi, budgets.futures_data, budgets.funding):
        with pytest.raises(RateLimited):
            await spend(limiter, 1)
    await spend(budgets.spot, 1)
    await spend(budgets.archive, 1)
    budgets.spot.pause(3600)
    with pytest.raises(RateLimited):
        await spend(budgets.spot, 1)


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 1e18])
async def test_an_absurd_pause_is_bounded(seconds: float) -> None:
    budgets = Budgets(StepClock(EPOCH), Metrics())
    budgets.fapi.pause(seconds)
    assert budgets.fapi.view().ban_until <= EPOCH + 3 * 86_400


async def test_two_processes_spend_the_whole_budget_and_not_more() -> None:
    book = MemoryBook()
    first, second = shared(book), shared(book)
    async with running(first, second):
        tasks = [asyncio.create_task(spend(one.fapi, 100), name="spend") for one in (first, second)]
        await eventually(lambda: first.fapi.view().used >= 100 and second.fapi.view().used >= 100)
        own = sum(one.fapi._spending.own for one in (first, second))
        assert own == 100
        assert sum(use.leased for use in book.uses["fapi"]) == 100
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert max(ask.want for ask in book.asks) <= 10


async def test_a_low_priority_leaves_room_for_another_process_roll_call() -> None:
    book = MemoryBook()
    history, roll_call = shared(book), shared(book)
    async with running(history, roll_call):
        task = asyncio.create_task(spend(history.fapi, 100, Priority.HISTORY), name="spend")
        await eventually(lambda: history.fapi._spending.own == 70)
        async with asyncio.timeout(30):
            await spend(roll_call.fapi, 30)
        assert not task.done()
        task.cancel()


async def test_a_roll_call_finds_a_leased_block_and_does_not_wait_for_the_book() -> None:
    book = MemoryBook()
    budgets = shared(book)
    async with running(budgets):
        await spend(budgets.fapi, 1)
        await eventually(lambda: budgets.fapi._lease is not None and budgets.fapi._lease.free >= 5)
        book.answers.clear()
        waiting = asyncio.create_task(spend(budgets.fapi, 5), name="roll call")
        for _ in range(20):
            await asyncio.sleep(0)
        assert waiting.done()


async def test_nothing_is_sent_before_the_book_is_read_and_a_tenth_when_it_cannot_be() -> None:
    book = MemoryBook()
    book.error = Unavailable("down")
    budgets = shared(book, speed=SPEED)
    budgets.fapi._lease.begin_waiting(budgets.fapi._clock.monotonic(), 0.3 * SPEED)  # type: ignore[union-attr]
    began = asyncio.get_running_loop().time()
    async with running(budgets), asyncio.timeout(20):
        await spend(budgets.fapi, 1)
        assert asyncio.get_running_loop().time() - began >= 0.25
        assert not budgets.fapi.is_shared
        await spend(budgets.fapi, 30)
        assert budgets.fapi.view().used <= 10


async def test_a_lost_book_leaves_the_lease_and_then_a_tenth() -> None:
    book = MemoryBook()
    budgets = shared(book)
    async with running(budgets):
        await spend(budgets.fapi, 20)
        await eventually(lambda: budgets.fapi._lease is not None and budgets.fapi._lease.free >= 5)
        held = budgets.fapi._lease.free  # type: ignore[union-attr]
        book.error = Misconfigured("no table")
        task = asyncio.create_task(spend(budgets.fapi, 60), name="spend")
        await eventually(lambda: not budgets.fapi.is_shared)
        assert budgets.fapi._spending.own == 20 + held
        book.error = None
        async with asyncio.timeout(20):
            await task
        assert budgets.fapi.is_shared
    failed = budgets._metrics.registry.get_sample_value(
        "marketd_rate_limit_leases_total", {"budget": "fapi", "result": "failed"}
    )
    assert failed


async def test_a_ban_of_one_process_stops_the_others_and_a_later_one() -> None:
    book = MemoryBook()
    first, second = shared(book), shared(book)
    async with running(first, second):
        await spend(second.fapi, 1)
        await spend(first.fapi, 1)
        first.fapi.pause(600)
        await eventually(lambda: second.futures_data.view().ban_until > 0)
        with pytest.raises(RateLimited):
            await spend(second.fapi, 1)
    late = shared(book)
    async with running(late):
        with pytest.raises(RateLimited):
            await spend(late.funding, 1)


async def test_each_time_that_bans_are_not_heard_is_told_once_and_ends_soon(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # A rest is longer than the system may keep us from running between two looks at the clock.
    longest = 0.25
    monkeypatch.setattr("src.adapters.rate_limiter.budgets._RETRY_S", (0.001, longest))
    book = MemoryBook()
    book.error = Unavailable("away", reason="connection")
    async with running(shared(book)):
        for times in (1, 2):
            book.lost.set()
            tried = book.watches
            await eventually(lambda before=tried: book.watches >= before + 8)  # type: ignore[misc]
            assert sum("rate_limits_unheard" in str(record.msg) for record in caplog.records) == times
            book.lost.clear()
            # The time is what is tested: heard for longer than any rest.
            await eventually(lambda: book.is_heard)
            await asyncio.sleep(2 * longest)
