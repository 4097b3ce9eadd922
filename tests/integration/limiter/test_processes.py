"""Several processes behind one address, against the sandbox, which counts what really arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.support.eventually import eventually
from tests.support.processes import Child
from tests.support.venue import Venue, VenueOptions

pytestmark = pytest.mark.slow

SPEED = 12
LIMIT = 300
"""Weight a minute; the sandbox allows 2400, and what arrives is compared with ours."""
SLACK = 1.1
"""The clocks of two processes differ by some milliseconds, which is up to a tenth of a second of the venue's."""


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    async with Venue.open(VenueOptions(symbols=20, speed=SPEED), tmp_path) as opened:
        yield opened


def spender(venue: Venue, database: str, folder: Path, number: int, minutes: float) -> Child:
    arguments = [
        database,
        f"http://127.0.0.1:{venue.port}",
        str(SPEED),
        str(LIMIT),
        str(minutes * 60),
        "direct",
    ]
    return Child(
        ["-m", "tests.integration.limiter.spender", *arguments],
        environment={},
        log=folder / f"spender{number}.log",
    )


async def weights(venue: Venue) -> list[int]:
    """What arrived in each whole minute after the first one that anything arrived in."""
    stats = await venue.stats()
    by_minute = {int(minute): int(weight) for minute, weight in stats["weight_by_minute"].items()}
    now = await venue.now_ms() // 60_000
    if not by_minute:
        return []
    return [by_minute.get(minute, 0) for minute in range(min(by_minute) + 1, now)]


@pytest.mark.parametrize("processes", [2, 3])
async def test_processes_spend_the_whole_budget_together_and_no_more(
    venue: Venue, database: str, tmp_path: Path, processes: int
) -> None:
    spenders = [spender(venue, database, tmp_path, number, 30) for number in range(processes)]
    try:
        await eventually(lambda: _minutes(venue, 3), timeout=60)
        arrived = (await weights(venue))[-2:]
    finally:
        for child in spenders:
            await child.kill()
    assert max(arrived) <= LIMIT * SLACK, arrived
    assert min(arrived) >= LIMIT * 0.9, arrived
    assert [line for child in spenders for line in child.text().splitlines() if '"status"' in line] == []


async def test_kill_9_of_one_costs_its_lease_for_one_window(
    venue: Venue, database: str, tmp_path: Path
) -> None:
    first, second = (spender(venue, database, tmp_path, number, 30) for number in range(2))
    try:
        await eventually(lambda: _minutes(venue, 2), timeout=60)
        first.signal(SIGKILL)
        await first.wait(within=60)
        had = len(await weights(venue))
        await eventually(lambda: _minutes(venue, had + 3), timeout=60)
        arrived = (await weights(venue))[had + 1 :]
    finally:
        for child in (first, second):
            await child.kill()
    assert arrived
    assert max(arrived) <= LIMIT * SLACK, arrived
    assert min(arrived) >= LIMIT * 0.9, arrived


async def test_a_ban_of_one_stops_the_others_and_who_comes_later(
    venue: Venue, database: str, tmp_path: Path
) -> None:
    spenders = [spender(venue, database, tmp_path, number, 60) for number in range(2)]
    try:
        await eventually(lambda: _minutes(venue, 2), timeout=60)
        await venue.control("ban", seconds=3000)
        await eventually(lambda: all('"refused"' in child.text() for child in spenders), timeout=60)
        refused = await venue.fired("ban")
        # Requests under way as the ban came are refused too, no more.
        assert 1 <= refused <= 2 * 8
        spenders.append(spender(venue, database, tmp_path, 3, 60))
        await eventually(lambda: '"refused"' in spenders[2].text(), timeout=60)
        assert '"status"' not in spenders[2].text()
        # The newcomer asks for the time first, which the test does past its limiter.
        assert await venue.fired("ban") <= refused + 1
    finally:
        for child in spenders:
            await child.kill()


async def _minutes(venue: Venue, number: int) -> bool:
    return len(await weights(venue)) >= number
