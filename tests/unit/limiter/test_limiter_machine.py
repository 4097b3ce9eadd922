"""Any order of asking, answering, cancelling, pausing and passing time: the budget is never overdrawn or lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from src.adapters.rate_limiter import RateLimiter
from src.errors import RateLimited
from src.ports import Priority
from src.telemetry.metrics import Metrics
from tests.support.fakes import EPOCH, StepClock

LIMIT = 20
IN_FLIGHT = 6
UNBOUNDED = 10**9


@dataclass
class Request:
    weight: int
    task: asyncio.Task[None]
    end: asyncio.Event
    began: bool = False


class LimiterMachine(RuleBasedStateMachine):
    """The model is a ledger of what was really in flight in each venue minute."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = StepClock(EPOCH)
        self.limiter = RateLimiter(self.clock, Metrics(), limit=LIMIT, max_in_flight=IN_FLIGHT, patience=100)
        self.requests: list[Request] = []
        self.spent: dict[int, int] = {}
        self.paused_until = 0.0
        self.heard_in = -1

    def run_loop(self) -> None:
        async def turn() -> None:
            self.limiter.adopt_venue_limit(UNBOUNDED)
            for _ in range(6):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turn())

    @property
    def minute(self) -> int:
        return int(self.clock.now() // 60)

    def charge(self, weight: int) -> None:
        self.spent[self.minute] = self.spent.get(self.minute, 0) + weight

    async def _request(self, request: Request, priority: Priority) -> None:
        async with self.limiter.permit(request.weight, priority):
            assert self.clock.now() >= self.paused_until
            request.began = True
            self.charge(request.weight)
            await request.end.wait()

    @rule(weight=st.integers(1, 10), priority=st.sampled_from(Priority))
    def ask(self, weight: int, priority: Priority) -> None:
        async def start() -> None:
            request = Request(weight, asyncio.current_task(), asyncio.Event())  # type: ignore[arg-type]
            request.task = asyncio.create_task(self._request(request, priority), name="request")
            self.requests.append(request)

        self.loop.run_until_complete(start())
        self.run_loop()

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.requests)).end.set()
        self.run_loop()

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.requests)).task.cancel()
        self.run_loop()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel_as_the_permit_comes(self, data: st.DataObject) -> None:
        """Grants are made at the full minute, and one of those granted is cancelled before it has run."""
        self.clock.advance(60 - self.clock.now() % 60)
        for request in self.live:
            self.charge(request.weight)
        cancelled = data.draw(st.sampled_from(self.waiting))

        async def grant_and_cancel() -> None:
            self.limiter.adopt_venue_limit(UNBOUNDED)
            cancelled.task.cancel()

        self.loop.run_until_complete(grant_and_cancel())
        self.run_loop()
        assert not cancelled.began

    @rule(seconds=st.sampled_from([0.5, 7.0, 31.0, 60.0, 400.0]))
    def pass_time(self, seconds: float) -> None:
        before = self.minute
        self.clock.advance(seconds)
        if self.minute != before:
            for request in self.live:
                self.charge(request.weight)
        self.run_loop()

    @rule(used=st.integers(0, 30))
    def hear_the_venue(self, used: int) -> None:
        self.limiter.observe(used, age=0.0)
        self.heard_in = self.minute
        assert self.limiter.view().used >= used

    @rule(seconds=st.sampled_from([3.0, 50.0, 5000.0]))
    def be_banned(self, seconds: float) -> None:
        async def pause() -> None:
            self.limiter.pause(seconds)

        self.paused_until = max(self.paused_until, self.clock.now() + seconds)
        self.loop.run_until_complete(pause())
        self.run_loop()

    @property
    def live(self) -> list[Request]:
        return [request for request in self.requests if request.began and not request.task.done()]

    @property
    def waiting(self) -> list[Request]:
        return [request for request in self.requests if not request.began and not request.task.done()]

    @invariant()
    def permits_are_conserved(self) -> None:
        view = self.limiter.view()
        assert view.in_flight == len(self.live) <= IN_FLIGHT
        assert view.waiting == len(self.waiting)

    @invariant()
    def no_minute_is_overdrawn(self) -> None:
        spent = self.spent.get(self.minute, 0)
        carried = sum(request.weight for request in self.live)
        # What hung over from the minute before may itself be the limit: then nothing new was let in.
        assert spent <= max(LIMIT, carried)
        used = self.limiter.view().used
        assert used >= spent
        if self.heard_in != self.minute:
            assert used == spent

    @invariant()
    def nobody_failed_but_by_ban_or_cancel(self) -> None:
        for request in self.requests:
            if request.task.done() and not request.task.cancelled():
                error = request.task.exception()
                assert error is None or isinstance(error, RateLimited)

    def teardown(self) -> None:
        async def end() -> None:
            for request in self.requests:
                request.task.cancel()
            await asyncio.gather(*(request.task for request in self.requests), return_exceptions=True)

        self.loop.run_until_complete(end())
        view = self.limiter.view()
        self.loop.close()
        assert (view.in_flight, view.waiting) == (0, 0)


TestLimiter = LimiterMachine.TestCase
TestLimiter.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
