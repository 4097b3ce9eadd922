"""Which database error means what: SQLSTATE decides, never the text of a message.

The table is facts about PostgreSQL, kept in one place so that it can be read and tested row by row:

* ``Unavailable``    the server or the network; the same call may succeed later (also every error without
  SQLSTATE that a lost connection leaves behind)
* ``BadData``        a value in this batch; the caller halves the batch until it has found the row
* ``Misconfigured``  the statement, the schema or the rights; trying again only fills the log
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from ...errors import BadData, MarketdError, Misconfigured, Unavailable

NO_SQLSTATE = "none"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The error to raise, its bounded reason, and whether the session must be given up."""

    kind: type[Unavailable] | type[BadData] | type[Misconfigured]
    reason: str
    reconnect: bool = False


# Exact codes first, then classes (first two characters). PostgreSQL manual, appendix A.
_VERDICTS: dict[str, Verdict] = {
    "57014": Verdict(Unavailable, "statement_timeout"),
    "57P04": Verdict(Misconfigured, "database_dropped", reconnect=True),
    "55P03": Verdict(Unavailable, "lock_timeout"),
    "25006": Verdict(Unavailable, "read_only", reconnect=True),
    "40P01": Verdict(Unavailable, "deadlock"),
    "40001": Verdict(Unavailable, "serialization"),
    # TimescaleDB: more tuples to decompress than allowed. The same statement will never pass.
    "53400": Verdict(Misconfigured, "limit_exceeded"),
    # Two rows of one key in one statement. The writer dedupes, so this is a bug; halving the batch separates them.
    "21000": Verdict(BadData, "duplicate_key"),
    # Index row too long: a symbol of kilobytes.
    "54000": Verdict(BadData, "too_large"),
    "08": Verdict(Unavailable, "connection", reconnect=True),
    "25": Verdict(Unavailable, "transaction_state", reconnect=True),
    "40": Verdict(Unavailable, "rollback"),
    "53": Verdict(Unavailable, "resources"),
    "55": Verdict(Unavailable, "object_state"),
    "57": Verdict(Unavailable, "shutdown", reconnect=True),
    "58": Verdict(Unavailable, "system"),
    "22": Verdict(BadData, "value"),
    "23": Verdict(BadData, "constraint"),
    "0A": Verdict(Misconfigured, "not_supported"),
    "0L": Verdict(Misconfigured, "rights"),
    "28": Verdict(Misconfigured, "authorization", reconnect=True),
    "3D": Verdict(Misconfigured, "database", reconnect=True),
    "3F": Verdict(Misconfigured, "schema"),
    "42": Verdict(Misconfigured, "statement"),
}
_LOST = Verdict(Unavailable, "connection", reconnect=True)
_CLIENT_SIDE = Verdict(BadData, "value")
# An unknown class (XX internal error, say) keeps its rows and is tried again; nothing is thrown away on a guess.
_UNKNOWN = Verdict(Unavailable, "other", reconnect=True)

_HINTS = (
    ("password authentication failed", "user and password stand in DATABASE_URL, or whichever URL was given"),
    ("no password supplied", "put the password into DATABASE_URL, or whichever URL was given"),
    ("failed to resolve host", "the host stands in DATABASE_URL, or whichever URL was given"),
    ("Connection refused", "host and port stand in DATABASE_URL, or whichever URL was given"),
)
"""What libpq says where no session comes about, and where to look; it gives no SQLSTATE then."""

CLIENT_ERRORS = (psycopg.Error, UnicodeError, OverflowError, OSError)
"""What a call on a session raises when something is wrong with the data or the database, not with the program."""


def sqlstate_class(error: BaseException) -> str:
    """The metric label: the first two characters of the SQLSTATE, ``none`` without one."""
    code = getattr(error, "sqlstate", None)
    return code[:2] if code else NO_SQLSTATE


def judge(error: BaseException) -> Verdict:
    """What ``error`` means, by the table above."""
    code = getattr(error, "sqlstate", None)
    if code:
        return _VERDICTS.get(code) or _VERDICTS.get(code[:2]) or _UNKNOWN
    if isinstance(error, (psycopg.DataError, UnicodeError, OverflowError)):
        return _CLIENT_SIDE
    return _LOST


def translate(error: BaseException) -> MarketdError:
    """The error of ``src/errors.py`` to raise from ``error``; its text never holds a connection string."""
    verdict = judge(error)
    code = getattr(error, "sqlstate", None)
    text = " ".join(str(error).split()) or type(error).__name__
    message = f"database: {text} ({code})" if code else f"database: {text}"
    message += next((f"; {hint}" for words, hint in _HINTS if words in text), "")
    return verdict.kind(message, reason=verdict.reason)
