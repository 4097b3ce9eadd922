"""The daemon as a process: logs, signals, event loop and exit code round what ``wiring`` builds."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop

from .. import __version__
from ..config import Settings
from ..errors import EXIT_OK
from ..telemetry import log
from ..telemetry.log_file import LogFile
from ..telemetry.metrics import Metrics
from ..wiring import Application
from ..wiring.roles import NEEDED, everything
from .context import Context

_log = log.get_logger("main")

_NICENESS = -5
_AUTOGROUP = Path("/proc/self/autogroup")  # sched(7)


def run_daemon(context: Context, *, roles: Sequence[str] | None, standby: bool) -> int:
    """Run until told to stop; returns the exit code. ``roles`` None are all that have what they need.

    Raises ``ConfigError`` (settings, port, pending migrations) and ``AlreadyRunning``.
    """
    needed = [name for role in roles or () for name in NEEDED.get(role, ())]
    settings = context.settings("DATABASE_URL", *needed)
    roles = everything(settings) if roles is None else roles
    run_id = log.new_run_id()
    metrics = Metrics()
    # Made once: logrotate renames it and then sends SIGHUP, and one made in between would not know it for ours.
    file = LogFile.told()
    _open_logs(settings, metrics, run_id, settings.secrets(), file)
    secrets = list(settings.secrets())

    def configure_logs(changed: Settings) -> None:
        secrets.extend(changed.secrets())  # the old ones stay hidden, too
        _open_logs(changed, metrics, run_id, secrets, file)
        _tell_unknown(changed)

    application = Application(
        settings,
        metrics,
        roles=roles,
        run_id=run_id,
        standby=standby,
        read=lambda: context.settings("DATABASE_URL", *needed),
        configure_logs=configure_logs,
    )
    _tell_unknown(settings)
    application.prepare()
    leave_no_core()
    niceness = go_first()
    _log.info(
        "starting", msg=f"marketd {__version__}", version=__version__, pid=os.getpid(), niceness=niceness
    )
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    try:
        runner.run(_run(application))
    finally:
        _close(runner)
    return EXIT_OK


def _close(runner: asyncio.Runner) -> None:
    """The end of the loop, which takes a thread where it had a pool of them: at the limit of processes there is none.

    All that matters is stored by then, and the interpreter ends the pool by itself.
    """
    try:
        runner.close()
    except RuntimeError as error:
        _log.warning("close_failed", msg=str(error), part="event loop")


def go_first() -> int:
    """Ask the system to serve this process before others, as it does where we may (root, CAP_SYS_NICE, ``Nice=`` of a
    unit); returns our niceness.

    The loop sleeps most of the time, so nobody waits for long; but beside a busy database it would be late by tens of
    milliseconds. Processes of ours that compute go last again. Where Linux groups processes by session, niceness
    counts within a session only, and the session's own beside others; ours is the daemon's when it leads it.
    """
    with suppress(OSError):  # not allowed; or /proc is read-only, as in a container
        os.setpriority(os.PRIO_PROCESS, 0, min(_NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
        if os.getsid(0) == os.getpid() and _AUTOGROUP.exists():
            _AUTOGROUP.write_text(str(_NICENESS))
    return os.getpriority(os.PRIO_PROCESS, 0)


def leave_no_core() -> None:
    """A core file would hold every password; where each thread was stands in the log (``faulthandler``)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _open_logs(
    settings: Settings, metrics: Metrics, run_id: str, secrets: Iterable[str], file: LogFile | None
) -> None:
    log.configure(
        level=settings.log_level,
        levels=settings.log_levels,
        fmt=settings.log_format,
        file=file,
        metrics=metrics,
        run_id=run_id,
        secrets=secrets,
    )
    if _has_descriptor(sys.stderr):
        # A fault of the interpreter itself, and SIGABRT of a watchdog, leave every thread's place in the log.
        faulthandler.enable()


def _tell_unknown(settings: Settings) -> None:
    """A name in LOG_LEVELS that was typed wrong changes nothing, which looks as if there was nothing to be told."""
    if unknown := log.unknown_components(settings.log_levels):
        names = ", ".join(unknown)
        _log.warning("log_levels_unknown", msg=f"LOG_LEVELS: no part of this process is called {names}")


def _has_descriptor(stream: Any) -> bool:
    try:
        return bool(stream.fileno() >= 0)
    except (AttributeError, OSError, ValueError):  # closed, replaced, or without a file behind it
        return False


STOP_WITHIN_S = 33.0
"""Wall seconds from the first signal to the end, whatever hangs: the 30 s that the parts have, and a little for a
loaded machine. A service manager's own deadline (45 s) comes after it."""


class StopGuard:
    """Ends the process when stopping takes too long: a thread, because what hangs may be the loop itself.

    It is made while threads can be had, at ``watch``: at the limit of processes none can when it is time to stop. Once
    started it counts until the process has ended: the last that is waited for are threads, and one that reads from a
    share that is gone never ends. What was not stored by then is read again from the venue, as after a kill -9.
    """

    def __init__(self, within_s: float = STOP_WITHIN_S, end: Callable[[int], object] = os._exit) -> None:
        self._within_s = within_s
        self._end = end
        self._number = signal.SIGTERM
        self._asked = threading.Event()

    def watch(self) -> None:
        """Make the thread, which waits for ``start``."""
        threading.Thread(target=self._wait, name="marketd-stop", daemon=True).start()

    def start(self, number: signal.Signals) -> None:
        """Begin to count, at the first signal."""
        self._number = number
        self._asked.set()

    def _wait(self) -> None:
        self._asked.wait()
        # Not time.sleep: it sleeps until an instant, and where the date is made to step for tests that may be none.
        threading.Event().wait(self._within_s)
        name = self._number.name
        _log.error("stop_timed_out", msg=f"not stopped {self._within_s:g} s after {name}: ending at once")
        self._end(128 + self._number)


async def _run(application: Application) -> None:
    stop = asyncio.Event()
    guard = StopGuard()
    guard.watch()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, number, stop, guard)
    # A terminal that closes is no reason to stop a daemon.
    loop.add_signal_handler(signal.SIGHUP, _on_hangup, application)
    await application.run(stop)


def _on_hangup(application: Application) -> None:
    _log.info("reload_requested", msg="SIGHUP: reading again what may change while it runs")
    application.reloading.ask()


def _on_signal(number: signal.Signals, stop: asyncio.Event, guard: StopGuard) -> None:
    if stop.is_set():
        # Asked twice: what waits is read again from the venue at the next start.
        os._exit(128 + number)
    _log.info("stop_requested", msg=f"{number.name}: draining; the same again ends at once")
    guard.start(number)
    stop.set()
