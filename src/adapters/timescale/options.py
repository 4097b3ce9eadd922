"""How to reach the database, and who we are there."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ...errors import ConfigError

CONNECT_TIMEOUT_S = 5
DEADLINE_S = 30.0
"""Wall seconds after which any call on a session is given up and its socket shut."""

# A dead peer is noticed in about 5 + 3 * 3 s when idle and 15 s with data under way. A value in DATABASE_URL wins.
_DEFAULTS = {
    "connect_timeout": str(CONNECT_TIMEOUT_S),
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "client_encoding": "utf8",
}


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """Everything a session needs. ``url`` is a secret and never shown.

    ``exchange`` is the label in the tables (``binance_futures_um``); ``role`` what this instance does (``ws``,
    ``metrics``, ``backfill``), one lock each. ``run_id`` names this run of the program: a session of ours that
    outlived its socket is recognised by it.
    """

    url: str = field(repr=False)
    schema: str = "market_data"
    exchange: str = "binance_futures_um"
    role: str = "ws"
    run_id: str = field(default_factory=lambda: uuid4().hex)
    version: str = "0"
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    deadline_s: float = DEADLINE_S

    def application_name(self, purpose: str) -> str:
        """``marketd/<purpose>/<run id>``, at most 63 bytes, as ``pg_stat_activity`` keeps it."""
        return f"marketd/{purpose}/{self.run_id}"[:63]

    @property
    def lock_key(self) -> int:
        """The advisory lock of (schema, exchange, role): a signed 64-bit number."""
        text = f"marketd\0{self.schema}\0{self.exchange}\0{self.role}"
        return int.from_bytes(sha256(text.encode()).digest()[:8], "big", signed=True)


def url_parts(url: str, *, setting: str = "DATABASE_URL") -> dict[str, str]:
    """The parts of a connection string; raises ``ConfigError`` that names the setting but not its value."""
    try:
        return {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.Error:
        raise ConfigError(f"{setting}: is not a PostgreSQL connection string") from None


def conninfo(url: str, *, application_name: str, writable: bool) -> str:
    """``url`` with our defaults under it and our name on it.

    ``writable`` asks libpq for a server that takes writes, so that after a failover the next connect finds the
    new primary instead of the old one.
    """
    ours = {**_DEFAULTS, "target_session_attrs": "read-write"} if writable else _DEFAULTS
    return make_conninfo("", **{**ours, **url_parts(url), "application_name": application_name})
