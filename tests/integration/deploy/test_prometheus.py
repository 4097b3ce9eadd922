"""A real Prometheus over a real daemon: silent while all is well, loud when the database goes away, silent again."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from src.model import floor_minute
from tests.integration.deploy.promql import (
    DASHBOARDS,
    PROMETHEUS,
    exported,
    metrics_in,
    panel_queries,
    rules,
)
from tests.support.eventually import eventually
from tests.support.processes import free_port
from tests.support.venue import VenueOptions
from tests.support.world import open_world

pytestmark = [
    pytest.mark.fault,  # it takes a minute where the machine is busy
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="prometheus is missing: apt-get install prometheus"
    ),
]


class Prometheus:
    """Debian's program on a rendered copy of what is in deploy/: other ports, seconds for minutes of patience."""

    def __init__(self, folder: Path, target: int) -> None:
        self._folder, self._port = folder, free_port()
        config = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8")
        config, targets = re.subn(r"127\.0\.0\.1:9108", f"127.0.0.1:{target}", config)
        config, intervals = re.subn(r"_interval: 15s", "_interval: 1s", config)
        assert (targets, intervals) == (1, 2)
        (folder / "prometheus.yml").write_text(config, encoding="utf-8")
        text, delays = re.subn(
            r"for: \dm", "for: 2s", (PROMETHEUS / "marketd.rules.yml").read_text(encoding="utf-8")
        )
        # Ten minutes and more stay: two seconds of a busy machine are no late loop (MarketdLoopLag).
        assert delays > 5
        # What must be so for a whole minute here must be so for five seconds.
        text, windows = re.subn(r"(max_over_time\([a-z_]+(?:\{[^}]*\})?)\[1m\]", r"\1[5s]", text)
        assert windows >= 3
        (folder / "marketd.rules.yml").write_text(text, encoding="utf-8")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with (self._folder / "prometheus.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                "prometheus",
                f"--config.file={self._folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self._folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                stdout=log,
                stderr=log,
            )
            try:
                yield
            finally:
                process.kill()
                await process.wait()

    async def ask(self, path: str) -> Any:
        """The ``data`` of one answer; while it does not answer yet that is an AssertionError."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
                session.get(f"http://127.0.0.1:{self._port}/api/v1/{path}") as answer,
            ):
                text = await answer.text()
        except aiohttp.ClientError as error:
            raise AssertionError(repr(error)) from error
        assert answer.status == 200, text
        return json.loads(text)["data"]

    async def is_scraping(self) -> bool:
        targets = (await self.ask("targets"))["activeTargets"]
        assert len(targets) == 1
        [target] = targets
        assert target["health"] == "up", target["lastError"]
        return True

    async def alerts(self) -> set[str]:
        """Names of those that fire."""
        found = (await self.ask("alerts"))["alerts"]
        return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}

    async def all_rules_work(self) -> bool:
        groups = (await self.ask("rules"))["groups"]
        health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
        assert set(health.values()) == {"ok"}, health
        return len(health) == len(rules())


async def test_an_alert_fires_when_its_fault_is_there_and_no_other_time(
    tmp_path: Path, database: str
) -> None:
    now_ms = int(time.time() * 1000)
    start_ms = floor_minute(now_ms)
    options = VenueOptions(
        symbols=20, speed=1, start_ms=start_ms, started_s=(now_ms - start_ms) / 1000, history=5
    )
    async with open_world(tmp_path, database, options=options) as world:
        await world.begin()
        prometheus = Prometheus(tmp_path, world.daemon.port)
        async with prometheus.running():
            await eventually(prometheus.is_scraping, message="Prometheus scrapes the daemon")
            await eventually(prometheus.all_rules_work, message="every rule was evaluated")

            async def is_quiet() -> bool:
                assert await prometheus.alerts() == set()
                return True

            await eventually(is_quiet, message="no alert while all is well")
            await _nothing_is_queried_that_is_not_there((await world.daemon.get("/metrics"))[1])
            await world.database.refuse()
            assert world.database.reset_all() >= 1

            async def is_loud() -> bool:
                # Of one cause so young, one alert; a scrape that a busy machine missed may make another for a moment.
                assert await prometheus.alerts() == {"MarketdDatabaseAway"}
                return True

            # A write fails at the next minute's end at the latest.
            await eventually(is_loud, timeout=150, message="the database's alert fires")
            await world.database.listen()
            await eventually(is_quiet, timeout=150, message="and ends with its cause")
        await world.daemon.stop()


async def _nothing_is_queried_that_is_not_there(scrape: str) -> None:
    names = exported(scrape)
    queries = [rule["expr"] for rule in rules()]
    queries += [query for path in DASHBOARDS for query in panel_queries(path)]
    for query in queries:
        assert metrics_in(query) - names == set(), query
