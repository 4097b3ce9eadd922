"""systemd's notification protocol (sd_notify(3)): one datagram a message, to the socket in ``NOTIFY_SOCKET``."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress

from ..telemetry.log import get_logger
from ..telemetry.metrics import Metrics

_log = get_logger("service_manager")

_SOCKET, _WATCHDOG, _WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
_MOST_BYTES = 4096
"""Of a line: systemd reads no longer messages, and STATUS is for one line of a screen."""


class SystemdManager:
    """Takes its variables out of ``environ``, so that processes started later do not speak for this one.

    ``NOTIFY_SOCKET`` is a path, or ``@name`` in Linux's abstract namespace. Without it nobody listens, and ``tell``
    does nothing. A message that cannot be sent is counted and logged; nothing is raised.
    """

    def __init__(self, environ: MutableMapping[str, str], metrics: Metrics) -> None:
        self._address = _address(environ.pop(_SOCKET, ""))
        self._watchdog_s = _seconds(environ.pop(_WATCHDOG, ""), environ.pop(_WATCHDOG_PID, ""))
        self._metrics = metrics
        self._failing = False

    @property
    def listens(self) -> bool:
        return self._address is not None

    @property
    def watchdog_s(self) -> float | None:
        return self._watchdog_s if self.listens else None

    def tell(self, *lines: str) -> bool:
        if self._address is None:
            return False
        message = "\n".join(" ".join(line.split()) for line in lines).encode()[:_MOST_BYTES]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                sender.sendto(message, self._address)
        except OSError as error:
            self._metrics.service_notifications.labels("failed").inc()
            if not self._failing:
                _log.warning("manager_deaf", msg=f"NOTIFY_SOCKET: {error.strerror or error}")
            self._failing = True
            return False
        self._failing = False
        self._metrics.service_notifications.labels("sent").inc()
        return True


def _address(written: str) -> str | None:
    if written.startswith("@"):
        return "\0" + written[1:]
    return written if written.startswith("/") else None


def _seconds(microseconds: str, pid: str) -> float | None:
    """None also where the watchdog is meant for another process of the service."""
    with suppress(ValueError):
        if int(pid or os.getpid()) == os.getpid() and int(microseconds) > 0:
            return int(microseconds) / 1e6
    return None
