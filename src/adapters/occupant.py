"""Who has the port that we wanted: another marketd, or something else."""

from __future__ import annotations

import json
import socket
import time

from ..config.network import connectable
from .http_guard import SERVER_NAME

WITHIN_S = 3.0
"""Wall seconds for one answer; a marketd that starts needs about one until it answers."""
_MOST_BYTES = 65_536


def marketd_at(host: str, port: int, *, token: str | None = None, within: float = WITHIN_S) -> str | None:
    """Which marketd answers there (``pid 4711``, or that it does not tell), or None if it is none.

    Asks over HTTP without a proxy and blocks for at most twice ``within``. The token is sent only to what says
    that it is a marketd.
    """
    head, body = _get(host, port, None, within)
    if not _is_marketd(head):
        return None
    if token is not None:
        _, body = _get(host, port, token, within)
    try:
        pid = json.loads(body)["pid"]
    except (ValueError, KeyError, TypeError):
        pid = None
    return f"pid {pid}" if isinstance(pid, int) else "pid not told"


def _is_marketd(head: bytes) -> bool:
    status, *lines = head.split(b"\r\n")
    return status.startswith(b"HTTP/1.") and f"server: {SERVER_NAME}".encode() in [
        line.strip().lower() for line in lines
    ]


def _get(host: str, port: int, token: str | None, within: float) -> tuple[bytes, bytes]:
    """Head and body of ``/status``, both empty when there is no answer in time."""
    place = connectable(host)
    named = f"[{place}]" if ":" in place else place
    lines = ["GET /status HTTP/1.1", f"Host: {named}:{port}", "Connection: close"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    request = "\r\n".join([*lines, "", ""]).encode("utf-8", "replace")
    answer, deadline = b"", time.monotonic() + within
    try:
        with socket.create_connection((place, port), timeout=within) as link:
            link.sendall(request)
            while len(answer) < _MOST_BYTES and (left := deadline - time.monotonic()) > 0:
                link.settimeout(left)
                if not (part := link.recv(_MOST_BYTES)):
                    break
                answer += part
    except OSError:  # refused, reset or silent: what came so far decides
        pass
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body
