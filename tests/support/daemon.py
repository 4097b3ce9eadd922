"""The daemon as a real process: started with private ports, scraped, signalled, and inspected."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import time
import weakref
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from .eventually import eventually
from .machines import Machine
from .processes import Child, port_of, reserved_port

START_S = 120.0
"""Wall seconds until a daemon that has all it needs must be ready (a loaded machine with two cores)."""
STOP_S = 35.0
"""The promise is 30 s; the rest is the machine's."""
RESIDENT_LIMIT_MB = 300.0
FORBIDDEN = (
    "Task was destroyed but it is pending",
    "was never awaited",
    "exception was never retrieved",
    "Traceback (most recent call last)",
    "ResourceWarning",
)
"""Text that no run may leave in the log: a leaked task, a leaked descriptor or an error nobody handled."""
REFUSED = "permission denied"
"""Nor may one whose roles have all the rights that ``marketd migrate`` gives."""


class Samples:
    """One scrape of ``/metrics``."""

    def __init__(self, text: str) -> None:
        self._samples = [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples called ``marketd_`` + ``name`` whose labels include ``labels``; 0 if none."""
        return sum(
            value
            for sample, has, value in self._samples
            if sample == f"marketd_{name}" and labels.items() <= has.items()
        )

    def labels(self, name: str, label: str) -> dict[str, float]:
        """The samples called ``marketd_`` + ``name`` by one label, those that counted nothing left out."""
        found: dict[str, float] = {}
        for sample, has, value in self._samples:
            if sample == f"marketd_{name}" and label in has and value:
                found[has[label]] = found.get(has[label], 0.0) + value
        return found

    @property
    def unaccounted_rows(self) -> float:
        """received - (committed + deduped + rejected + dropped + buffered); 0 when the counters add up."""
        ends = ("rows_committed_total", "rows_deduped_total", "rows_rejected_total", "rows_dropped_total")
        gone = sum(self.total(name) for name in ends)
        return self.total("rows_received_total") - gone - self.total("buffer_rows")


@dataclass(slots=True)
class Readiness:
    """What ``/readyz`` said over time, changes only: (monotonic second, ready, text)."""

    changes: list[tuple[float, bool, str]] = field(default_factory=list)
    went_away: bool = False
    """It said that it is not ready; one that says nothing has not said so."""

    def note(self, status: int, text: str) -> None:
        """One answer; status 0 is none."""
        ready = status == 200
        self.went_away = self.went_away or status == 503
        if not self.changes or self.changes[-1][1] != ready:
            self.changes.append((time.monotonic(), ready, text))

    @property
    def now(self) -> bool:
        return bool(self.changes) and self.changes[-1][1]

    @property
    def came_back(self) -> bool:
        return self.went_away and self.now


class Daemon:
    """One daemon on one database and one venue; ``start`` may be called again after it ended."""

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        folder: Path,
        arguments: Sequence[str] = ("--ws",),
        module: str = "src",
    ) -> None:
        self.folder = folder
        self.arguments = ("-m", module, *arguments)
        held = reserved_port()
        weakref.finalize(self, held.close)
        self.port = port_of(held)
        self.settings = {
            "METRICS_PORT": str(self.port),
            "API_PORT": "0",
            "GRPC_PORT": "0",
            "LOG_FORMAT": "json",
            "PYTHONWARNINGS": "default::ResourceWarning",
            "MARKETD_ENV_FILE": os.devnull,
            "MARKETD_CONFIG_FILE": os.devnull,
            **settings,
        }
        self.host = "127.0.0.1"
        self.enter: Sequence[str] = ()
        """See ``Child``: on another machine (``machines.Machine``), in other surroundings. Set before ``start``."""
        self.waits = False
        self.starts = 0
        self.children: list[Child] = []

    @property
    def child(self) -> Child:
        return self.children[-1]

    def on(self, machine: Machine) -> Self:
        """It will run on another machine; before ``start``."""
        self.enter, self.host = machine.enter, machine.address
        self.settings.update(machine.settings)
        return self

    def start(self) -> None:
        """Start the process; ``wait_ready`` says when it works."""
        self.starts += 1
        log = self.folder / f"daemon-{self.port}-{self.starts}.log"
        self.children.append(
            Child(self.arguments, environment=self.settings, log=log, enter=self.enter, waits=self.waits)
        )

    async def stop(self, *, within: float = STOP_S) -> None:
        """SIGTERM; it must end with exit code 0 in time and leave nothing forbidden in its log."""
        self.child.signal(signal.SIGTERM)
        code = await self.child.wait(within=within)
        assert code == 0, f"exit code {code}; its log ends:\n{self.child.tail()}"
        self.check_logs()

    def check_logs(self) -> None:
        for child in self.children:
            text = child.text()
            forbidden = FORBIDDEN + ((REFUSED,) if "DATABASE_READER_URL" in self.settings else ())
            found = [word for word in forbidden if word in text]
            assert not found, f"{child.log.name} has {found}; it ends:\n{child.tail(60)}"

    async def kill(self) -> None:
        """kill -9 whatever still runs."""
        for child in self.children:
            await child.kill()

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of one GET at the daemon's HTTP port; (0, reason) when it does not answer."""
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://{self.host}:{self.port}{path}") as answer,
            ):
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return 0, repr(error)

    async def api_url(self, *, within: float = START_S) -> str:
        """Where its API answers: on a port that the system chose, which it logs."""
        pattern = re.compile(r'"api_listening".*?"(http://[^"/]+)/"')
        await eventually(
            lambda: pattern.search(self.child.text()), timeout=within, message="the API's port is in the log"
        )
        return str(pattern.findall(self.child.text())[-1])

    async def is_ready(self) -> bool:
        return (await self.get("/readyz"))[0] == 200

    async def metrics(self) -> Samples:
        """A scrape; retried for a minute, because a daemon under fault may be slow to answer."""
        deadline = time.monotonic() + 60
        while True:
            status, text = await self.get("/metrics")
            if status == 200:
                return Samples(text)
            if time.monotonic() > deadline or self.child.exit_code is not None:
                raise AssertionError(f"/metrics says {status} {text}; the log ends:\n{self.child.tail()}")
            await asyncio.sleep(0.1)

    async def wait_ready(self, *, within: float = START_S) -> None:
        deadline = time.monotonic() + within
        while (answer := await self.get("/readyz"))[0] != 200:
            assert self.child.exit_code is None, f"it ended {self.child.exit_code}:\n{self.child.tail()}"
            assert time.monotonic() < deadline, f"not ready: {answer}; its log ends:\n{self.child.tail()}"
            await asyncio.sleep(0.1)

    async def wait_metric(
        self, name: str, at_least: float, *, within: float = 120.0, **labels: str
    ) -> Samples:
        """Wait until the sum of a metric reaches a value; the scrape that showed it."""
        deadline = time.monotonic() + within
        while (samples := await self.metrics()).total(name, **labels) < at_least:
            assert time.monotonic() < deadline, (
                f"{name}{labels or ''} is {samples.total(name, **labels)} and not {at_least}"
            )
            await asyncio.sleep(0.1)
        return samples

    @asynccontextmanager
    async def readiness(self) -> AsyncIterator[Readiness]:
        """Watch ``/readyz`` ten times a second inside the block."""
        seen = Readiness()

        async def watch() -> None:
            while True:
                status, text = await self.get("/readyz")
                seen.note(status, text)
                await asyncio.sleep(0.1)

        task = asyncio.create_task(watch(), name="readiness")
        try:
            yield seen
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
