"""SIGHUP: the settings are read again, and what may change while the daemon runs does: all of it, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ..adapters.metrics import MetricsServer
from ..config import Settings, setting_names
from ..errors import ConfigError
from ..telemetry import log
from .core import Core
from .options import plain, selection
from .roles import Change, Role

TAKEN = frozenset(
    {
        *("SYMBOLS", "EXCLUDE_SYMBOLS", "CONTRACT_TYPES", "RATE_LIMIT_PER_MINUTE", "SCHEDULES"),
        *("API_REQUESTS_PER_MINUTE", "FEED_CLIENTS", "METRICS_TOKEN"),
        *("LOG_LEVEL", "LOG_LEVELS", "LOG_FORMAT"),
    }
)
"""Settings that are taken over while it runs, besides the content of API_TOKENS_FILE. All others need a restart."""
ACCOUNTS = frozenset({"DATABASE_URL", "DATABASE_READER_URL"})
"""Taken over where they lead to the same database: another account or password, for whoever connects next."""

_log = log.get_logger("main")


class Reloading:
    """``ask`` from the signal's handler; ``run`` reads, until cancelled.

    ``read`` gives the settings as they are written now, in a thread; ``configure_logs`` is the last to be told.
    """

    def __init__(
        self,
        core: Core,
        roles: Sequence[Role],
        server: MetricsServer,
        *,
        read: Callable[[], Settings],
        configure_logs: Callable[[Settings], None],
    ) -> None:
        self._core, self._roles, self._server = core, roles, server
        self._read, self._configure_logs = read, configure_logs
        self._now = core.settings
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Read again soon; asked twice before it began, once."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled. What is wrong is logged, and everything stays as it was."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                settings = await asyncio.to_thread(self._read)
                changes = self._changes(settings)
            except ConfigError as error:
                _log.error(
                    "reload_refused", msg=f"nothing is changed: {error}", problems=list(error.problems)
                )
                continue
            except Exception as error:
                # A fault of ours, or no thread to read in: what collects goes on. The text may hold a secret that no
                # log knows yet.
                _log.error(
                    "reload_failed", msg=f"nothing is changed: {type(error).__name__} while it was read"
                )
                continue
            for change in changes:
                change()
            self._tell(settings)
            self._now = settings

    def _changes(self, settings: Settings) -> list[Change]:
        """What would change; nothing has yet. Raises ``ConfigError`` with every problem."""
        changes: list[Change] = [lambda: self._change_core(settings)]
        problems: list[str] = []
        try:
            log.check_levels(settings.log_level, settings.log_levels)
        except ConfigError as error:
            problems += error.problems
        try:
            # What libpq cannot read, such as a password with a bare %, is told here, before anything is changed.
            self._core.reaches(settings)
        except ConfigError as error:
            problems += error.problems
        for role in self._roles:
            try:
                changes.append(role.reload(settings))
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(*dict.fromkeys(problems))
        return [*changes, lambda: self._configure_logs(settings)]

    def _change_core(self, settings: Settings) -> None:
        core, chosen = self._core, selection(settings)
        if chosen != core.selection:
            core.selection.become(chosen)
            core.universe.choose_anew()
        if settings.rate_limit_per_minute != self._now.rate_limit_per_minute:
            core.budgets.fapi.configure(settings.rate_limit_per_minute)
        if core.reaches(settings):
            core.change_account(settings)
        self._server.take_token(plain(settings.metrics_token))

    def _tell(self, settings: Settings) -> None:
        """Names alone: a value may be a secret."""
        taken = TAKEN | ACCOUNTS if self._core.reaches(settings) else TAKEN
        changed = _differing(self._now, settings)
        left = sorted(_differing(self._core.settings, settings) - taken)
        _log.info("reloaded", msg="the settings were read again", changed=sorted(changed & taken))
        if left:
            names = ", ".join(left)
            _log.warning("reload_needs_restart", msg=f"taken over at the next start: {names}", settings=left)


def _differing(old: Settings, new: Settings) -> set[str]:
    return {name for name in setting_names() if getattr(old, name.lower()) != getattr(new, name.lower())}
