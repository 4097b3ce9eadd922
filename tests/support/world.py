"""Everything a fault run needs: a venue, proxies in front of it, a database, a daemon and the oracle."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from .chaosproxy import ChaosProxy
from .daemon import RESIDENT_LIMIT_MB, Daemon, Readiness
from .eventually import eventually
from .oracle import FRESH_S, MINIMUM_ROWS, SETTLE_S, Oracle, Verdict
from .processes import Usage
from .venue import Venue, VenueOptions, history_settings

SCHEMA = "market_data"
SPARE_DESCRIPTORS = 8
"""Connections and timers that may be under way at the one moment and not at the other."""
SPARE_THREADS = 8
"""The loop's pool for file work and names starts threads when it first needs them, and keeps them."""


@dataclass(slots=True)
class World:
    """One run. The daemon sees the venue and the database through ``rest``, ``stream`` and ``database``."""

    venue: Venue
    rest: ChaosProxy
    stream: ChaosProxy
    database: ChaosProxy
    daemon: Daemon
    oracle: Oracle
    database_url: str
    """The database itself, past the proxy."""
    before: Usage | None = None
    """What the daemon held at the beginning; None while there is nothing to compare with."""
    venue_links: Callable[[], int] | None = None
    """How many connections reach the venue, where not all of them go through ``rest`` and ``stream``."""

    @property
    def speed(self) -> float:
        """Exchange seconds per wall second."""
        return self.venue.options.speed

    def daemon_with(self, **settings: str) -> Self:
        """More settings for a daemon that has not been started."""
        self.daemon.settings.update(settings)
        return self

    async def begin(self) -> None:
        """Start the daemon, wait until it is ready, and note what it holds open."""
        self.daemon.start()
        await self.daemon.wait_ready()
        await self.daemon.wait_metric("symbols_subscribed", len(self.venue.symbols))
        self.before = self._usage()

    def another_daemon(self, *arguments: str, **settings: str) -> Daemon:
        """A second daemon on the same venue and database, with a port of its own; not started."""
        own = {name: value for name, value in self.daemon.settings.items() if name != "METRICS_PORT"}
        return Daemon({**own, **settings}, folder=self.daemon.folder, arguments=arguments or ("--ws",))

    async def live_connections(self) -> int:
        """How many stream connections the daemon says are live."""
        return int((await self.daemon.metrics()).total("ws_connections", state="live"))

    async def clock_error(self) -> float:
        """The venue's time as the daemon has it, minus what it truly is, seconds: by the quickest answer of five."""
        return min([await self._clock_reading() for _ in range(5)])[1]

    async def _clock_reading(self) -> tuple[float, float]:
        """(venue seconds that the answer took, the error if both ways took half of them)."""
        before = await self.venue.now_ms() / 1000
        status, text = await self.daemon.get("/status")
        after = await self.venue.now_ms() / 1000
        assert status == 200, text
        told = datetime.fromisoformat(json.loads(text)["venue_time"]).timestamp()
        return after - before, told - (before + after) / 2

    def has_live_connections(self, number: int) -> Callable[[], Awaitable[bool]]:
        """A condition for ``eventually``: so many stream connections are live."""

        async def condition() -> bool:
            return await self.live_connections() == number

        return condition

    async def a_connection(self) -> int:
        """The number of a stream connection that is open now, as the venue counts them."""
        return int((await self.venue.connections())[0]["number"])

    async def live_rows(self, minutes: float) -> None:
        """Wait until the stream has brought that many more minutes of all symbols."""
        now = (await self.daemon.metrics()).total("rows_received_total", source="binance_ws")
        wanted = now + minutes * len(self.venue.symbols)
        await self.daemon.wait_metric("rows_received_total", wanted, source="binance_ws")

    async def finish(
        self,
        *,
        readiness: Readiness | None = None,
        within: float = SETTLE_S,
        fresh: float = FRESH_S,
        minimum_rows: int = MINIMUM_ROWS,
    ) -> Verdict:
        """The common pass rule, called when the fault has stopped; ends with an orderly stop.

        ``readiness`` is given by rows in which the daemon must have said "not ready" and come back.
        """
        verdict = await self.oracle.settle(within=within, fresh=fresh, minimum_rows=minimum_rows)
        await self._is_whole(readiness)
        await self.daemon.stop()
        await self.oracle.check_all()
        return verdict

    async def _is_whole(self, readiness: Readiness | None) -> None:
        await eventually(self.daemon.is_ready, timeout=60, message="ready again")
        if readiness is not None:
            assert readiness.went_away, "readiness never went false"
            await eventually(lambda: readiness.came_back, message="readiness came back")
        await eventually(self._counters_add_up, timeout=60, message="the row counters add up")
        if self.before is not None:
            await eventually(self._holds_no_more, timeout=60, message="nothing leaked")

    async def _counters_add_up(self) -> bool:
        metrics = await self.daemon.metrics()
        assert metrics.unaccounted_rows == 0, f"unaccounted rows: {metrics.unaccounted_rows}"
        return True

    def _usage(self) -> Usage:
        """What the daemon holds, without its connections to the venue: REST keeps up to 64 of them for a while."""
        links = self.venue_links() if self.venue_links else self.rest.connections + self.stream.connections
        usage = self.daemon.child.usage()
        return replace(usage, descriptors=usage.descriptors - links)

    def _holds_no_more(self) -> bool:
        assert self.before is not None
        usage = self._usage()
        assert usage.descriptors <= self.before.descriptors + SPARE_DESCRIPTORS, f"{self.before} {usage}"
        assert usage.threads <= self.before.threads + SPARE_THREADS, f"{self.before} {usage}"
        assert usage.resident_mb <= RESIDENT_LIMIT_MB, f"{self.before} {usage}"
        return True


@asynccontextmanager
async def open_world(
    folder: Path,
    database_url: str,
    *,
    options: VenueOptions | None = None,
    settings: Mapping[str, str] | None = None,
    arguments: Sequence[str] = ("--ws",),
    module: str = "src",
) -> AsyncIterator[World]:
    """A world whose daemon has not been started; everything is ended at the end, whatever happened."""
    parts = urlsplit(database_url)
    target = (parts.hostname or "127.0.0.1", parts.port or 5432)
    async with (
        Venue.open(options or VenueOptions(), folder) as venue,
        ChaosProxy(venue.address) as rest,
        ChaosProxy(venue.address) as stream,
        ChaosProxy(target) as database,
    ):
        account, _, _ = parts.netloc.rpartition("@")
        proxied = parts._replace(netloc=f"{account}@127.0.0.1:{database.port}").geturl()
        own = {
            "DATABASE_URL": proxied,
            "KLINE_DB_SCHEMA": SCHEMA,
            "BINANCE_REST_URL": f"http://127.0.0.1:{rest.port}",
            "BINANCE_WS_URL": f"ws://127.0.0.1:{stream.port}/market",
            **history_settings(f"http://127.0.0.1:{rest.port}"),
            "SPEED": f"{venue.options.speed:g}",
        }
        daemon = Daemon({**own, **(settings or {})}, folder=folder, arguments=arguments, module=module)
        oracle = Oracle(venue, database_url, schema=SCHEMA)
        try:
            yield World(venue, rest, stream, database, daemon, oracle, database_url)
        finally:
            await daemon.kill()
