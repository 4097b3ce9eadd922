"""The place of one connection in the plan: always filled, by one link or, while the next takes over, by two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial

from ....telemetry.log import get_logger
from .link import Link
from .pacing import ReconnectBackoff
from .shared import Shared

_TAKEOVER_WALL_S = 30.0
_log = get_logger("stream")


def _needs_care(link: Link) -> bool:
    return link.is_over() or link.due


class Slot:
    """Keeps its symbols subscribed until cancelled."""

    def __init__(self, number: int, shared: Shared, symbols: Collection[str]) -> None:
        self._number = number
        self._shared = shared
        self._symbols = frozenset(symbols)
        self._links: list[Link] = []
        self._made = 0
        self._news = asyncio.Event()
        options = shared.options
        self._backoff = ReconnectBackoff(options.backoff_base_s, options.backoff_cap_s, shared.rng)

    @property
    def symbols_confirmed(self) -> int:
        """Symbols that are subscribed; two links carry the same ones."""
        return max((link.symbols_confirmed for link in self._links), default=0)

    @property
    def delivers(self) -> bool:
        """False while there is no connection from which data came."""
        return any(link.delivered and not link.is_over() for link in self._links)

    def want(self, symbols: Collection[str]) -> None:
        """Carry exactly these symbols."""
        if self._symbols != symbols:
            self._symbols = frozenset(symbols)
            for link in self._links:
                link.want(self._symbols)

    def again(self, symbol: str) -> None:
        """Unsubscribe and subscribe a symbol."""
        for link in self._links:
            link.again(symbol)

    async def run(self) -> None:
        """Connect, replace in time, reconnect after every end."""
        try:
            async with asyncio.TaskGroup() as tasks:
                link = self._start(tasks)
                while True:
                    await self._until(partial(_needs_care, link))
                    if link.is_over():
                        await self._ended(link)
                        link = self._start(tasks)
                    else:
                        link = await self._take_over(tasks, link)
        finally:
            self._links.clear()

    def _start(self, tasks: asyncio.TaskGroup) -> Link:
        self._made += 1
        name = f"{self._number}.{self._made}"
        link = Link(name, self._shared, self._symbols, self._news.set)
        self._links.append(link)
        tasks.create_task(link.run(), name=f"stream-{name}")
        return link

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def _ended(self, link: Link) -> None:
        """Count a connection that is over, and wait before the next."""
        self._forget(link, link.reason)
        if link.delivered:
            self._backoff.reset()
        clock, options = self._shared.clock, self._shared.options
        wait = self._backoff.next(link.reason)
        _log.info(
            "stream_reconnect",
            msg=f"connection {link.name} ended ({link.reason}), the next try is in {wait:.1f} s",
            reason=link.reason,
            connection=link.name,
        )
        waiting = self._shared.metrics.ws_connections.labels(state="waiting")
        with waiting.track_inprogress():
            await asyncio.sleep(clock.wall(wait, at_least=options.backoff_floor_wall))

    def _forget(self, link: Link, reason: str) -> None:
        self._links.remove(link)
        self._shared.metrics.ws_reconnects.labels(reason=reason).inc()
        self._shared.update_subscribed()

    async def _take_over(self, tasks: asyncio.TaskGroup, old: Link) -> Link:
        """Let a new connection deliver the same symbols before the old one closes; returns who stays."""
        async with self._turn(tasks, old) as is_ours:
            if not is_ours or old.is_over():
                return old
            new = self._start(tasks)
            await self._until_settled(new, old)
            if old.is_over() and not new.is_over():
                self._forget(old, old.reason)
                return new
            if not new.ready or new.is_over():
                await self._give_up(new)
                old.postpone(self._backoff.next(new.reason))
                return old
            reason = "server_shutdown" if old.shutdown_announced else "lifetime"
            await self._retire(old)
            self._forget(old, reason)
            self._backoff.reset()
            return new

    @asynccontextmanager
    async def _turn(self, tasks: asyncio.TaskGroup, old: Link) -> AsyncIterator[bool]:
        """Hold the one take-over of all slots; false if the old link ended first, which cannot wait in the queue."""
        lock = self._shared.one_takeover
        queued = tasks.create_task(lock.acquire(), name=f"stream-{old.name}-turn")
        queued.add_done_callback(lambda _: self._news.set())
        try:
            await self._until(lambda: queued.done() or old.is_over())
            yield queued.done()
        finally:
            if queued.done() and not queued.cancelled():
                lock.release()
            else:
                queued.cancel()

    async def _until_settled(self, new: Link, old: Link) -> None:
        """Wait until the new link can take over, or cannot, or the old one is gone; not for ever."""
        clock, options = self._shared.clock, self._shared.options
        try:
            async with asyncio.timeout(clock.wall(options.takeover_deadline_s, at_least=_TAKEOVER_WALL_S)):
                await self._until(lambda: new.ready or new.is_over() or old.is_over())
        except TimeoutError:
            _log.warning(
                "stream_takeover_slow", msg=f"connection {new.name} is not ready", connection=new.name
            )

    async def _give_up(self, new: Link) -> None:
        if not new.is_over():
            await self._retire(new)
            self._forget(new, "takeover_timeout")
        else:
            self._forget(new, new.reason)

    async def _retire(self, link: Link) -> None:
        await link.retire()
        await self._until(link.is_over)
