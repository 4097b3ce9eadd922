"""What people ask to be filled: in order, once each, taken up again after a daemon died, and cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from src.adapters.timescale.history.backfill_requests import BackfillRequestStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.model import BackfillRequest

ASKED = BackfillRequest(0, ("BTCUSDT", "1000*"), 1_773_000_000_000, 1_773_600_000_000, "auto", False, True)


@pytest.fixture
async def requests(database: str) -> AsyncIterator[BackfillRequestStore]:
    session = SharedSession(DatabaseOptions(database), purpose="history")
    yield BackfillRequestStore(session)
    await session.close()


async def test_requests_are_taken_in_order_and_followed(requests: BackfillRequestStore) -> None:
    assert await requests.take() is None
    first = await requests.ask(ASKED, by="somebody")
    second = await requests.ask(ASKED, by="somebody else")
    assert (await requests.look(first)).state == "waiting"
    assert await requests.take() == first
    assert await requests.tell(first, {"rows": 1})
    view = await requests.look(first)
    assert (view.state, view.progress, view.over) == ("running", {"rows": 1}, False)
    await requests.finish(first, "done", "", {"rows": 2})
    assert (await requests.look(first)).over
    assert await requests.take() == second


async def test_one_that_was_begun_and_not_finished_comes_again(requests: BackfillRequestStore) -> None:
    first = await requests.ask(ASKED, by="somebody")
    assert await requests.take() == first
    assert await requests.take() == first


async def test_a_cancelled_one_is_not_begun_or_is_told_to_end(requests: BackfillRequestStore) -> None:
    waiting = await requests.ask(ASKED, by="somebody")
    await requests.cancel(waiting)
    assert (await requests.look(waiting)).state == "cancelled"
    assert await requests.take() is None
    running = await requests.ask(ASKED, by="somebody")
    await requests.take()
    await requests.cancel(running)
    assert (await requests.look(running)).state == "running"
    assert not await requests.tell(running, {})
    await requests.finish(running, "cancelled", "as asked", {})
    view = await requests.look(running)
    assert (view.state, view.detail) == ("cancelled", "as asked")
    await requests.finish(running, "done", "too late", {})
    assert (await requests.look(running)).state == "cancelled"
