"""The roles of the tests' servers: the daemon of a test works as an operator's would, not as the tables' owner."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
from psycopg import sql

WRITER = "marketd_test_writer"
READER = "marketd_test_reader"
PASSWORD = "kanarienvogel-of-the-roles-of-tests"
"""A word that stands nowhere else, so that a test finds it wherever it gets."""


def as_role(url: str, role: str) -> str:
    """The connection URL of the same database for one of the two roles."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}").geturl()


def separate_roles(url: str) -> dict[str, str]:
    """The settings of a daemon on ``database``, the URL of whose owner is ``url``: it writes as one role and looks as
    another."""
    return {"DATABASE_URL": as_role(url, WRITER), "DATABASE_READER_URL": as_role(url, READER)}


def make_roles(admin: psycopg.Connection) -> None:
    """Make both, where they are not there yet; one call at a time."""
    have = {name for (name,) in admin.execute("SELECT rolname FROM pg_roles")}
    for role in {WRITER, READER} - have:
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        admin.execute(statement.format(sql.Identifier(role), sql.Literal(PASSWORD)))
