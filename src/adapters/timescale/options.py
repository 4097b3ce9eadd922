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

_PLACE = ("service", "host", "hostaddr", "port", "dbname")
"""The parts of a connection string that say which database is meant."""


class ServerUrl:
    """A connection string that may change while sessions are open: whoever connects next takes what it is by then.

    A secret, so it has no text of its own. A pickled one is a copy, which changes no more.
    """

    __slots__ = ("plain",)

    def __init__(self, plain: str) -> None:
        self.plain = plain

    def become(self, plain: str) -> None:
        """Take another account or password of the same server and database."""
        self.plain = plain


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """Everything a session needs. ``url`` is a secret and never shown.

    ``exchange`` is the label in the tables (``binance_futures_um``); ``role`` what this instance does (``ws``,
    ``metrics``, ``backfill``), one lock each. ``run_id`` names this run of the program: a session of ours that
    outlived its socket is recognised by it.
    """

    url: str | ServerUrl = field(repr=False)
    schema: str = "market_data"
    exchange: str = "binance_futures_um"
    role: str = "ws"
    run_id: str = field(default_factory=lambda: uuid4().hex)
    version: str = "0"
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    deadline_s: float = DEADLINE_S

    @property
    def plain_url(self) -> str:
        """The connection string as it is now."""
        return self.url.plain if isinstance(self.url, ServerUrl) else self.url

    def conninfo(self, purpose: str, *, writable: bool) -> str:
        """What to connect with now; see the function of that name."""
        return conninfo(self.plain_url, application_name=self.application_name(purpose), writable=writable)

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


def same_server(url: str, other: str) -> bool:
    """Whether both lead to the same database, whoever asks there and however."""
    ours, theirs = url_parts(url), url_parts(other)
    return all(ours.get(part) == theirs.get(part) for part in _PLACE)


def conninfo(url: str, *, application_name: str, writable: bool) -> str:
    """``url`` with our defaults under it and our name on it.

    ``writable`` asks libpq for a server that takes writes, so that after a failover the next connect finds the
    new primary instead of the old one.
    """
    ours = {**_DEFAULTS, "target_session_attrs": "read-write"} if writable else _DEFAULTS
    return make_conninfo("", **{**ours, **url_parts(url), "application_name": application_name})
