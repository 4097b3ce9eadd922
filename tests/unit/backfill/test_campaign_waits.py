"""A filling waits for whoever is away, for room and for its turn, and ends when it is told to."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from src.collectors.backfill.progress import Progress
from src.errors import Misconfigured, RateLimited, Unavailable
from src.telemetry.pulse import Pulse
from tests.support.eventually import eventually
from tests.support.fakes import count
from tests.support.history_world import start_of
from tests.unit.backfill.world import FIRST, GONE, LIVE, OLD, TODAY, daily, make_parts, names, scope


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.collectors.backfill.campaign._BASE", 0.001)
    monkeypatch.setattr("src.collectors.backfill.campaign._CAP", 0.002)


async def test_whoever_is_away_is_waited_for(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE, GONE])
    away = Unavailable("away", reason="connection")
    calls = ("listings", "open_days", "holes", "fetch", "import", "candles", "write", "note")
    parts.world.unpublished.add(daily(OLD))
    parts.world.errors = {call: [away, RateLimited("later"), away] for call in calls if call != "listings"}
    result = await parts.fill(scope(FIRST), persistent=True)
    assert parts.missing == []
    assert not any(parts.world.errors.values())
    assert result.unanswered == 0
    assert names(tmp_path) == []


async def test_a_filling_that_is_not_persistent_comes_back_with_what_was_left(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    parts.world.errors = {"candles": [Unavailable("away")] * 1000, "fetch": [Unavailable("away")] * 1000}
    result = await parts.fill(scope(FIRST))
    assert result.unanswered > 0
    assert parts.missing
    parts.world.errors = {"open_days": [Unavailable("away")]}
    with pytest.raises(Unavailable):
        await parts.fill(scope(FIRST))


async def test_a_refusing_database_ends_it(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    parts.world.errors = {"import": [Misconfigured("no grant")]}
    with pytest.raises(Misconfigured):
        await parts.fill(scope(FIRST), persistent=True)


async def test_a_nearly_full_disk_ends_downloads_and_nothing_else(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    parts.free = 0.09
    result = await parts.fill(scope(FIRST), persistent=True)
    assert result.trouble == "disk_low"
    assert parts.world.fetched == []
    assert count(parts.metrics, "backfill_paused", reason="disk_low") == 1
    assert min(ms for _, ms in parts.world.stored) == start_of(TODAY - timedelta(days=1))
    parts.free = 0.11
    await parts.fill(scope(FIRST))
    assert parts.missing == []
    assert count(parts.metrics, "backfill_paused", reason="disk_low") == 0


async def test_a_pause_that_nobody_waits_for_any_more_is_not_told_for_ever(tmp_path: Path) -> None:
    """The request that had to pause is over, and for the patrol there is nothing to do."""
    parts = make_parts(tmp_path, [LIVE])
    await parts.fill(scope(FIRST))
    parts.free = 0.09
    assert (await parts.fill(scope(FIRST, force=True), persistent=True)).trouble == "disk_low"
    assert count(parts.metrics, "backfill_paused", reason="disk_low") == 1
    await parts.fill(scope(FIRST))
    assert count(parts.metrics, "backfill_paused", reason="disk_low") == 0


async def test_a_folder_that_cannot_be_written_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    folder.write_text("in the way")
    parts = make_parts(folder, [LIVE])
    filling = asyncio.create_task(parts.fill(scope(FIRST), persistent=True), name="filling")
    await eventually(lambda: count(parts.metrics, "backfill_paused", reason="folder"))
    folder.unlink()
    await filling
    assert parts.missing == []


async def test_while_memory_is_short_files_wait_and_requests_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.collectors.backfill.campaign.Backoff.next", lambda self: 0.001)
    parts = make_parts(tmp_path, [LIVE])
    parts.memory_short = True
    filling = asyncio.create_task(parts.fill(scope(FIRST), persistent=True), name="filling")
    await eventually(lambda: count(parts.metrics, "backfill_paused", reason="memory"))
    await eventually(lambda: parts.world.stored, message="what only REST has is asked for")
    assert parts.world.fetched == []
    parts.memory_short = False
    await filling
    assert parts.missing == []
    assert count(parts.metrics, "backfill_paused", reason="memory") == 0


async def test_a_disk_that_fills_up_while_downloading_costs_no_row(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    parts.world.errors = {"fetch": [OSError(28, "No space left on device")]}
    await parts.fill(scope(FIRST), persistent=True)
    assert parts.missing == []


async def test_told_to_stop_it_stops_and_the_next_goes_on(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE, GONE])
    result = await parts.campaign.run(
        scope(FIRST), parts.progress, stop=lambda: len(parts.world.imported) >= 2
    )
    assert result.stopped
    begun = list(parts.world.imported)
    assert 2 <= len(begun) <= 8
    assert parts.missing
    await parts.fill(scope(FIRST))
    assert parts.missing == []
    assert len(parts.world.imported) == len(set(parts.world.imported))


async def test_told_to_stop_during_a_ban_it_stops(tmp_path: Path) -> None:
    """The ban lasts for a day, and whoever else wants to fill would wait for its end."""
    parts = make_parts(tmp_path, [LIVE])
    parts.world.errors = {"fetch": [RateLimited("banned", reason="banned", retry_after=86_400.0)]}
    told: list[bool] = []
    filling = asyncio.create_task(
        parts.campaign.run(scope(FIRST), parts.progress, stop=lambda: bool(told), persistent=True),
        name="filling",
    )
    await eventually(lambda: parts.progress.note == "waiting")
    told.append(True)
    assert (await asyncio.wait_for(filling, 60)).stopped


async def test_what_is_left_is_told_while_it_is_worked_at(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE, GONE])
    seen: list[tuple[float, float]] = []

    def told() -> bool:
        left = tuple(count(parts.metrics, f"backfill_{name}_left") for name in ("tasks", "candles"))
        seen.append((left[0], left[1]))
        return False

    await parts.campaign.run(scope(FIRST), parts.progress, stop=told)
    steps = sorted(set(seen), reverse=True)
    assert len(steps) > 5, "as tasks end, not only where a round begins"
    assert [candles for _, candles in steps] == sorted((one for _, one in steps), reverse=True)
    assert told() is False and seen[-1] == (0, 0)


def test_work_that_nobody_planned_leaves_what_is_shown_of_a_filling_beside_it(tmp_path: Path) -> None:
    """Absent minutes are asked for again outside of the filling's turn."""
    parts = make_parts(tmp_path, [LIVE])
    parts.progress.plan_more(3, 4320)
    parts.progress.show(parts.metrics)
    beside = Progress()
    beside.task_done(7)
    beside.show(parts.metrics)
    assert count(parts.metrics, "backfill_tasks_left") == 3
    assert count(parts.metrics, "backfill_candles_left") == 4320


async def test_cancelled_at_any_moment_it_can_be_begun_again(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE, GONE])
    for steps in range(1, 60, 7):
        filling = asyncio.create_task(parts.fill(scope(FIRST)), name="filling")
        for _ in range(steps):
            await asyncio.sleep(0)
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
    await parts.fill(scope(FIRST))
    assert parts.missing == []


async def test_the_second_waits_for_the_first(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    first = asyncio.create_task(parts.fill(scope(FIRST)), name="first")
    await asyncio.sleep(0)
    second = asyncio.create_task(parts.fill(scope(FIRST)), name="second")
    await eventually(lambda: parts.campaign.wanted)
    await asyncio.gather(first, second)
    assert len(parts.world.fetched) == len(set(parts.world.fetched))


async def test_whoever_waits_for_a_filling_of_hours_is_not_stuck(tmp_path: Path) -> None:
    campaign, pulse = make_parts(tmp_path, [LIVE]).campaign, Pulse("patrol")

    async def wait() -> None:
        with pulse.watched():
            async with campaign.turn():
                pass

    async with campaign.turn():
        waiting = asyncio.create_task(wait(), name="patrol")
        await eventually(lambda: campaign.wanted)
        assert [pulse.still_for(now) for now in (1.0, 3_600.0, 7_200.0)] == [0, 0, 0]
    await waiting
