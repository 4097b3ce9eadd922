"""Holds a role's lock: its collectors run while it is ours, and end when it is not."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ...errors import AlreadyRunning, ConfigError, Misconfigured, Retryable
from ...ports import RoleLock
from ...telemetry.health import Health
from ...telemetry.log import get_logger
from ..backoff import Backoff
from .turn import Turn

_log = get_logger("role")

CHECK_EVERY = 5.0
"""Wall seconds between two questions whether the session that holds the lock still lives."""
_STANDBY_POLL = 2.0
_GHOST_GRACE = 30.0
"""Wall seconds in which our own lost session may still hold the lock on a server that has not noticed."""


class LockKeeper:
    """Opens the lock, looks after it, and gives the role's readers their turn.

    ``waits``: a lock that somebody else holds is waited for; otherwise ``AlreadyRunning`` ends ``run``, and with it
    the daemon. ``ConfigError`` at the first open ends it too. A database that is away is waited for; the readers then
    have their turn all the same, because they wait for it themselves. With ``health`` given it says whether the
    database takes writes: the keeper is then the daemon's only one. Whoever follows a lead (``follow``) asks for the
    lock in its turns alone.
    """

    def __init__(
        self,
        role: str,
        lock: RoleLock,
        *,
        waits: bool,
        health: Health | None = None,
        every: float = CHECK_EVERY,
    ) -> None:
        self.settled = Turn()
        self._role = role
        self._lock = lock
        self._waits = waits
        self._health = health
        self._every = every
        self._backoff = Backoff(0.2, 10.0)
        self._opened_before = False
        self._lost_at: float | None = None
        self._told = ""
        self._draining = asyncio.Event()
        self._lead: Turn | None = None

    def follow(self, lead: Turn) -> None:
        """Ask for the lock only while ``lead`` lasts, and give it back after: what the readers need of the process (the
        venue's time, its contracts, the ledger's days) comes with the lead."""
        self._lead = lead

    async def run(self) -> None:
        """Keep the lock until ``drain``."""
        while not self._draining.is_set():
            if self._lead is not None and not self._lead.is_set():
                await self._wait_for(self._lead)
                continue
            try:
                await self._lock.open()
                self._opened()
                await self._lock.check()
                await self._pause(self._every)
            except AlreadyRunning as error:
                self._held_by_another(error)
                await self._pause(_STANDBY_POLL)
            except (Retryable, Misconfigured) as error:
                self._away(error)
                await self._pause(max(self._backoff.next(), getattr(error, "retry_after", 0.0)))
            except ConfigError as error:
                if not self._opened_before:
                    raise
                self._away(error)
                await self._pause(_GHOST_GRACE)

    async def drain(self, seconds: float) -> int:
        """End ``run``; nothing is kept here, so no row is left. ``seconds`` is not needed."""
        self._draining.set()
        return 0

    async def _wait_for(self, lead: Turn) -> None:
        if self._opened_before or self.settled.is_set():
            _log.info(
                "role_given_back", msg=f"another instance leads; not ours: {self._role}", role=self._role
            )
            self._opened_before, self._lost_at = False, None
            self.settled.clear()
            await self._lock.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_STANDBY_POLL):
                await lead.wait()

    def _opened(self) -> None:
        self._backoff.reset()
        self._lost_at, self._told = None, ""
        if self._health:
            self._health.database_writable = True
        if not self._opened_before or not self.settled.is_set():
            _log.info("role_taken", msg=f"the lock of {self._role} is ours", role=self._role)
        self._opened_before = True
        self.settled.set()

    def _held_by_another(self, error: AlreadyRunning) -> None:
        now = asyncio.get_running_loop().time()
        self._lost_at = self._lost_at or now
        ghost = self._opened_before and now - self._lost_at <= _GHOST_GRACE
        if not ghost:
            if not self._waits:
                raise error
            self._opened_before = False
            self.settled.clear()
        if str(error) != self._told:  # once for each holder: a standby waits for months
            _log.warning("lock_held", msg=str(error), role=self._role)
        self._told = str(error)

    def _away(self, error: Exception) -> None:
        self._lost_at, self._told = None, ""
        if self._health:
            self._health.database_writable = False
        _log.warning("database_away", msg=str(error), role=self._role)
        if self._opened_before or not self._waits:
            self.settled.set()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._draining.wait()
