"""Requests: done in order, told while they work, ended when nobody wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pytest

from src.collectors.backfill.progress import Progress
from src.collectors.backfill.serve import RequestServer
from src.collectors.listings.selection import Selection
from src.errors import Misconfigured, Unavailable
from src.model import BackfillRequest, Listing
from src.telemetry.pulse import Pulse, follow_tasks
from tests.support.eventually import eventually
from tests.support.history_world import start_of
from tests.unit.backfill.world import NOW_MS, Parts, make_parts

FIRST = date(2026, 3, 10)
LISTINGS = [Listing(symbol, start_of(FIRST), 10**14) for symbol in ("BTCUSDT", "ETHUSDT")]
ASKED = BackfillRequest(7, ("BTC*",), start_of(FIRST), NOW_MS - 300_000, "auto", False, False)


@dataclass
class Desk:
    """``ports.BackfillRequests`` in memory."""

    waiting: list[BackfillRequest] = field(default_factory=list)
    told: list[Mapping[str, object]] = field(default_factory=list)
    ended: list[tuple[int, str, str, Mapping[str, object]]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    wanted: bool = True

    async def take(self) -> BackfillRequest | None:
        if self.errors:
            raise self.errors.pop(0)
        return self.waiting[0] if self.waiting else None

    async def tell(self, request: BackfillRequest, progress: Mapping[str, object]) -> bool:
        if self.errors:
            raise self.errors.pop(0)
        self.told.append(progress)
        return self.wanted

    async def finish(
        self, request: BackfillRequest, state: str, detail: str, progress: Mapping[str, object]
    ) -> None:
        self.waiting = [item for item in self.waiting if item.id != request.id]
        self.ended.append((request.id, state, detail, progress))


def _server(parts: Parts, desk: Desk, floor: int = 0) -> RequestServer:
    return RequestServer(desk, parts.campaign, Selection(), parts.world.clock, floor=lambda _: floor)


async def test_a_request_is_filled_and_its_end_told(tmp_path: Path) -> None:
    parts, desk = make_parts(tmp_path, LISTINGS), Desk()
    await _server(parts, desk).serve(ASKED)
    [(number, state, detail, progress)] = desk.ended
    assert (number, state, detail) == (7, "done", "complete")
    assert {symbol for symbol, _ in parts.world.stored} == {"BTCUSDT"}
    told = Progress.from_dict({**progress, "of another version": 1})
    assert told.rows_inserted == len(parts.world.stored)
    assert told.tasks_done == told.tasks_planned > 0


async def test_nothing_is_filled_that_retention_will_drop(tmp_path: Path) -> None:
    parts, desk = make_parts(tmp_path, LISTINGS), Desk()
    floor = start_of(date(2026, 3, 14))
    await _server(parts, desk, floor).serve(ASKED)
    assert min(ms for _, ms in parts.world.stored) == floor


async def test_a_request_that_nobody_wants_any_more_is_ended(tmp_path: Path) -> None:
    parts, desk = make_parts(tmp_path, LISTINGS), Desk(wanted=False)
    await _server(parts, desk).serve(ASKED)
    assert desk.ended[0][1] == "cancelled"
    assert len(parts.world.stored) < (ASKED.until_ms - ASKED.since_ms) // 60_000


async def test_what_cannot_be_had_is_said(tmp_path: Path) -> None:
    parts, desk = make_parts(tmp_path, LISTINGS), Desk()
    parts.world.rest_lacks.add(("BTCUSDT", ASKED.until_ms - 60_000))
    await _server(parts, desk).serve(ASKED)
    assert desk.ended[0][1:3] == ("done", "1 minutes cannot be had now: no source has them, or not yet")


async def test_a_symbol_that_nobody_knows_is_not_called_complete(tmp_path: Path) -> None:
    parts, desk = make_parts(tmp_path, LISTINGS), Desk()
    await _server(parts, desk).serve(replace(ASKED, symbols=("BTC*", "BTCUSD", "ETHUSDT")))
    [(_, state, detail, _)] = desk.ended
    assert (state, detail.partition(";")[0]) == (
        "failed",
        "symbols BTCUSD: no symbol that is known and selected is called so",
    )
    assert not parts.world.stored


async def test_where_nothing_is_known_yet_each_symbol_may_be(tmp_path: Path) -> None:
    parts, desk = make_parts(tmp_path, []), Desk()
    await _server(parts, desk).serve(ASKED)
    assert desk.ended[0][1:3] == ("done", "complete")


@pytest.mark.parametrize("fault", ["disk", "database"])
async def test_a_failure_is_the_requests_and_not_the_servers(tmp_path: Path, fault: str) -> None:
    parts, desk = make_parts(tmp_path, LISTINGS), Desk()
    if fault == "disk":
        parts.free = 0.01
    else:
        parts.world.errors = {"import": [Misconfigured("no grant")]}
    await _server(parts, desk).serve(ASKED)
    assert desk.ended[0][1] == "failed"
    assert ("10 %" if fault == "disk" else "no grant") in desk.ended[0][2]


async def test_requests_are_served_one_after_the_other_and_errors_outlived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.collectors.backfill.serve._POLL_S", 0.001)
    monkeypatch.setattr("src.collectors.backfill.serve.Backoff.next", lambda self: 0.001)
    parts = make_parts(tmp_path, LISTINGS)
    other = BackfillRequest(8, ("ETH*",), ASKED.since_ms, ASKED.until_ms, "rest", False, False)
    desk = Desk([ASKED, other], errors=[Unavailable("away"), Misconfigured("no grant")])
    running = asyncio.create_task(_server(parts, desk).run(), name="serve")
    await eventually(lambda: len(desk.ended) == 2)
    assert [ending[:2] for ending in desk.ended] == [(7, "done"), (8, "done")]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_filling_that_hangs_is_seen_although_its_progress_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.collectors.backfill.serve._TELL_S", 0.001)
    parts, desk = make_parts(tmp_path, LISTINGS), Desk([ASKED])

    async def hang(*_: object) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(parts.campaign, "_round", hang)
    pulse = Pulse("requests")
    follow_tasks(asyncio.get_running_loop())

    async def work() -> None:
        with pulse.watched():
            await _server(parts, desk).run()

    running = asyncio.create_task(work(), name="requests")
    try:
        await eventually(lambda: desk.told, message="it works, and tells how far it is")
        pulse.still_for(1.0)
        told = len(desk.told)
        await eventually(lambda: len(desk.told) > told + 3, message="it still tells")
        assert pulse.still_for(5.0) == 4.0
    finally:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        asyncio.get_running_loop().set_task_factory(None)
