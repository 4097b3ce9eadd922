"""Several processes that share one book, in any order of asking, answering, dying and losing the book."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from src.adapters.rate_limiter import AGED_S, AGEING_S, FIVE_MINUTES, MINUTE, RateLimiter, Window
from src.adapters.rate_limiter.book import LeaseAsk, LeaseGrant
from src.adapters.rate_limiter.lease import ALONE_SHARE
from src.ports import Priority
from src.telemetry.metrics import Metrics
from tests.support.fakes import EPOCH, StepClock

from .book import MemoryBook

LIMIT = 40
PROCESSES = 3
UNBOUNDED = 10**9


@dataclass
class Request:
    process: int
    weight: int
    task: asyncio.Task[None]
    end: asyncio.Event
    since: float
    began: float | None = None
    ended: float | None = None


class SharedMachine(RuleBasedStateMachine):
    """The model knows of every request when it was surely under way; the venue may have counted it at any of it."""

    window: Window

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = StepClock(EPOCH)
        self.book = MemoryBook()
        self.limiters = [self.limiter() for _ in range(PROCESSES)]
        self.cut_off: set[int] = set()
        self.slow: set[int] = set()
        self.alone = 0
        """Processes that were without the book at any time."""
        self.late: list[tuple[RateLimiter, LeaseAsk, LeaseGrant]] = []
        self.requests: list[Request] = []

    def limiter(self) -> RateLimiter:
        return RateLimiter(
            self.clock, Metrics(), limit=LIMIT, window=self.window, leased=True, patience=10**6
        )

    def turn(self) -> None:
        """What the keepers do at once whenever something is wanted, until nothing is."""

        async def once() -> None:
            for number, limiter in enumerate(self.limiters):
                limiter.adopt_venue_limit(UNBOUNDED)
                if number in self.cut_off or any(one is limiter for one, _, _ in self.late):
                    continue
                if number in self.slow:
                    if (ask := limiter.lease_ask()) is not None:
                        self.late.append((limiter, ask, self.book.answer(ask)))
                    continue
                for _ in range(100):
                    if (ask := limiter.lease_ask()) is None:
                        break
                    limiter.settle_lease(ask, self.book.answer(ask))
                else:
                    raise AssertionError("the keeper asks for ever")
            for _ in range(6):
                await asyncio.sleep(0)

        for _ in range(2):
            self.loop.run_until_complete(once())

    async def _request(self, request: Request, priority: Priority) -> None:
        try:
            async with self.limiters[request.process].permit(request.weight, priority):
                request.began = self.clock.now()
                await request.end.wait()
        finally:
            request.ended = self.clock.now()

    @rule(process=st.integers(0, PROCESSES - 1), weight=st.integers(1, 6), priority=st.sampled_from(Priority))
    def ask(self, process: int, weight: int, priority: Priority) -> None:
        async def start() -> None:
            request = Request(process, weight, asyncio.current_task(), asyncio.Event(), self.clock.now())  # type: ignore[arg-type]
            request.task = asyncio.create_task(self._request(request, priority), name="request")
            self.requests.append(request)

        self.loop.run_until_complete(start())
        self.turn()

    @precondition(lambda self: self.open)
    @rule(data=st.data(), cancel=st.booleans())
    def end(self, data: st.DataObject, cancel: bool) -> None:
        request = data.draw(st.sampled_from(self.open))
        request.task.cancel() if cancel else request.end.set()
        self.turn()

    @rule(seconds=st.sampled_from([0.5, 7.0, 31.0, 60.0, 290.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.turn()

    @rule(process=st.integers(0, PROCESSES - 1))
    def answers_take_long(self, process: int) -> None:
        """The book will write the next ask down; the process learns of it later, perhaps in another slot."""
        self.slow.add(process)

    @precondition(lambda self: self.slow)
    @rule()
    def late_answers_come(self) -> None:
        late, self.late = self.late, []
        self.slow.clear()

        async def settle() -> None:
            for limiter, ask, grant in late:
                limiter.settle_lease(ask, grant)

        self.loop.run_until_complete(settle())
        self.turn()

    @rule(process=st.integers(0, PROCESSES - 1))
    def die(self, process: int) -> None:
        """kill -9: its requests are gone, its leases are not."""
        for request in self.open:
            if request.process == process:
                request.task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.late = [one for one in self.late if one[0] is not self.limiters[process]]
        self.limiters[process] = self.limiter()
        self.slow.discard(process)
        self.turn()

    @precondition(lambda self: self.alone < PROCESSES)
    @rule(process=st.integers(0, PROCESSES - 1))
    def lose_the_book(self, process: int) -> None:
        if process not in self.cut_off:
            self.alone += 1
            self.cut_off.add(process)
            self.late = [one for one in self.late if one[0] is not self.limiters[process]]

            async def lose() -> None:
                self.limiters[process].lose_lease()

            self.loop.run_until_complete(lose())

    @precondition(lambda self: self.cut_off)
    @rule()
    def find_the_book(self) -> None:
        self.cut_off.clear()
        self.turn()

    @property
    def open(self) -> list[Request]:
        return [request for request in self.requests if not request.task.done()]

    @property
    def live(self) -> list[Request]:
        return [request for request in self.requests if request.began is not None and request.ended is None]

    def counted(self) -> list[Request]:
        """Those that the venue may count in the window that ends now."""
        now = self.clock.now()
        first = now - 300 if self.window.slides else now // 60 * 60
        return [
            request
            for request in self.requests
            if request.began is not None and (request.ended is None or request.ended > first)
        ]

    @invariant()
    def the_address_is_never_over_its_budget(self) -> None:
        counted = self.counted()
        spent = sum(request.weight for request in counted)
        alone = self.alone * max(int(LIMIT * ALONE_SHARE), 6) * (2 if self.window.slides else 1)
        if self.window.slides:
            assert spent <= LIMIT + alone
            return
        # What hangs over from the minute before is booked to both, for the venue may have counted it in either; but
        # others can lease before they know of it. What begins in a minute is within the limit whoever tells first.
        minute = self.clock.now() // 60 * 60
        carried = sum(request.weight for request in counted if (request.began or 0) < minute)
        assert spent - carried <= LIMIT + alone

    @invariant()
    def permits_are_conserved(self) -> None:
        for number, limiter in enumerate(self.limiters):
            mine = [request for request in self.live if request.process == number]
            waiting = [one for one in self.open if one.process == number and one.began is None]
            view = limiter.view()
            assert (view.in_flight, view.waiting) == (len(mine), len(waiting))

    def teardown(self) -> None:
        """Everybody who still waits is served in bounded time once requests end and the book answers."""
        self.cut_off.clear()
        self.slow.clear()
        self.late.clear()
        rounds = 0
        backlog = sum(request.weight for request in self.open)
        bound = AGED_S + len(Priority) * AGEING_S + 310 * (2 + 2 * backlog // LIMIT)
        while self.open:
            for request in self.open:
                request.end.set()
            self.turn()
            self.clock.advance(30)
            self.turn()
            rounds += 1
            assert rounds * 30 <= bound, [one.weight for one in self.open]
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


class MinuteMachine(SharedMachine):
    window = MINUTE


class SlidingMachine(SharedMachine):
    window = FIVE_MINUTES


TestMinute = MinuteMachine.TestCase
TestMinute.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSliding = SlidingMachine.TestCase
TestSliding.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
