from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.collectors.backoff import Backoff
from src.collectors.running.supervisor import Supervisor
from src.collectors.unwrap import first_error, is_foreseen
from src.collectors.workers import for_each
from src.errors import AlreadyRunning, ConfigError, Unavailable
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.fakes import count


class Flaky:
    """Raises the given errors one by one, then works."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.runs = self.data = 0

    async def run(self) -> None:
        self.runs += 1
        if self.errors:
            error = self.errors.pop(0)
            if error:
                raise error
            return
        await asyncio.Event().wait()


class Small(Random):
    """Draws the upper end divided by a thousand, so that backoff can be read from the time it takes."""

    def uniform(self, a: float, b: float) -> float:
        return b / 1000


async def test_restarts_what_fails_or_returns_and_counts_it() -> None:
    metrics, work = Metrics(), Flaky(ValueError("a bug"), Unavailable("down"), None)
    supervisor = Supervisor("stream", work.run, metrics, rng=Small())
    running = asyncio.create_task(supervisor.run(), name="supervisor")
    await eventually(lambda: work.runs == 4)
    assert count(metrics, "supervisor_restarts_total", collector="stream") == 3
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("no"),
        AlreadyRunning("pid 7"),
        ExceptionGroup("tasks", [ValueError("first"), ExceptionGroup("inner", [ConfigError("no")])]),
    ],
)
async def test_what_no_restart_mends_passes_through(error: Exception) -> None:
    with pytest.raises((ConfigError, AlreadyRunning)):
        await Supervisor("stream", Flaky(error).run, Metrics()).run()


def standing_for(*errors: Exception) -> Exception:
    """As collectors raise it: the first foreseen one, from all of them."""
    group = ExceptionGroup("tasks", errors)
    found = first_error(group)
    assert isinstance(found, Exception)
    found.__cause__ = group
    return found


@pytest.mark.parametrize(
    ("error", "foreseen"),
    [
        (Unavailable("down"), True),
        (ExceptionGroup("tasks", [Unavailable("down"), Unavailable("away")]), True),
        (standing_for(Unavailable("down"), Unavailable("away")), True),
        (ValueError("a bug"), False),
        (
            ExceptionGroup("tasks", [Unavailable("down"), ExceptionGroup("inner", [ValueError("a bug")])]),
            False,
        ),
        (standing_for(ValueError("a bug"), Unavailable("down")), False),
    ],
)
def test_a_fault_of_ours_is_seen_beside_what_is_foreseen(error: Exception, foreseen: bool) -> None:
    """Its traceback is logged, although the error that is told is another one."""
    assert is_foreseen(error) is foreseen


async def test_the_backoff_starts_over_with_the_first_data_not_with_a_connection() -> None:
    waits = list[float]()

    class Recorder(Random):
        def uniform(self, a: float, b: float) -> float:
            waits.append(b)
            return 0.0

    work = Flaky(*[Unavailable("down")] * 6)

    async def run() -> None:
        work.data += work.runs == 3
        await work.run()

    supervisor = Supervisor("stream", run, Metrics(), progress=lambda: work.data, rng=Recorder())
    running = asyncio.create_task(supervisor.run(), name="supervisor")
    await eventually(lambda: work.runs == 7)
    assert waits == [0.5, 1.0, 2.0, 0.5, 1.0, 2.0]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@given(st.integers(0, 200), st.integers(0, 2**32))
def test_backoff_stays_between_its_floor_and_its_cap(failures: int, seed: int) -> None:
    backoff = Backoff(0.5, 60.0, Random(seed))
    waits = [backoff.next() for _ in range(failures)]
    assert all(0.05 <= wait <= min(60.0, 0.5 * 2**number) for number, wait in enumerate(waits))
    assert backoff.failures == failures
    backoff.reset()
    assert backoff.next() <= 0.5


def test_the_error_worth_telling_is_the_first_of_ours() -> None:
    ours, bug = Unavailable("down"), ValueError("a bug")
    assert first_error(ExceptionGroup("a", [bug, ExceptionGroup("b", [ours])])) is ours
    assert first_error(ExceptionGroup("a", [bug, KeyError()])) is bug
    assert first_error(bug) is bug


async def test_for_each_bounds_how_many_run_and_does_all() -> None:
    running, most, done = 0, 0, list[int]()

    async def work(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done.append(item)

    await for_each(range(20), work, limit=4, name="test")
    assert (sorted(done), most) == (list(range(20)), 4)
    await for_each([], work, limit=4, name="test")
