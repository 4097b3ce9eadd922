"""Daemon, ``marketd backfill`` and a greedy third process at one address, which keeps its real limits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.integration.backfill.past import open_past
from tests.support.daemon import Daemon
from tests.support.processes import Child

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LIMIT = 1800
"""Weight a minute for all three together; the sandbox refuses what is over 2400, as the venue does."""


async def test_three_processes_at_one_address_are_never_refused(database: str, tmp_path: Path) -> None:
    async with open_past(database, tmp_path) as past:
        environment = {**past.environment(tmp_path), "RATE_LIMIT_PER_MINUTE": str(LIMIT)}
        daemon = Daemon(environment, folder=tmp_path)
        filling = Child(
            ["-m", "src", "backfill", "--source", "rest", "--from", past.day(0), "--symbols", "BTC*,SOLUSDT"],
            environment=environment,
            log=tmp_path / "backfill.log",
        )
        greedy = Child(
            [
                *("-m", "tests.integration.limiter.spender", past.database_url, past.sandbox.rest_url),
                *("1", str(LIMIT), "10", "direct"),
            ],
            environment={},
            log=tmp_path / "greedy.log",
        )
        daemon.start()
        try:
            await asyncio.gather(daemon.wait_ready(), filling.wait(within=150), greedy.wait(within=60))
            assert filling.exit_code == 0, filling.tail()
            assert greedy.exit_code == 0, greedy.tail()
            await daemon.stop()
        finally:
            for child in (filling, greedy):
                await child.kill()
            await daemon.kill()
        requests = past.requests()
        assert {name for name in requests if name.endswith((" 429", " 418"))} == set(), requests
        # All three were really there, and the budget was worth defending.
        assert past.sandbox.venue.stats.opened > 0
        # Nine days of two symbols are 26,000 rows, of which one request brings 1,500 at most.
        assert requests["/fapi/v1/klines 200"] >= 18
        assert requests["/fapi/v1/ping 200"] > LIMIT / 10
        stored = await past.stored()
        for symbol in ("BTCUSDT", "SOLUSDT"):
            truth = {key: values for key, values in past.truth().items() if key[0] == symbol}
            assert {key: stored.get(key) for key in truth} == truth
