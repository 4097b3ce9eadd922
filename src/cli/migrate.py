"""``marketd migrate``: the tables, brought up to date."""

from __future__ import annotations

import asyncio

from ..adapters.timescale.schema.grants import separate_role
from ..adapters.timescale.schema.migrations import MigrationOptions, migrate, pending_migrations
from ..config import Settings
from ..errors import EXIT_OK
from . import output
from .context import Context


def run(context: Context, *, dry_run: bool) -> int:
    """Apply what is pending and print it.

    Raises ``ConfigError`` (78), ``Unavailable`` (69) or ``Misconfigured`` (1).
    """
    settings = context.settings("DATABASE_URL")
    owner = settings.owner_url() or ""
    if dry_run:
        names = asyncio.run(pending_migrations(owner, settings.kline_db_schema))
        _print(names, f"{len(names)} pending", settings)
        return EXIT_OK
    applied = asyncio.run(migrate(_options(settings, owner), output.line))
    _print([], f"{len(applied)} applied", settings)
    return EXIT_OK


def _options(settings: Settings, owner: str) -> MigrationOptions:
    writer = settings.database_url.get_secret_value() if settings.database_url else None
    reader = settings.database_reader_url.get_secret_value() if settings.database_reader_url else None
    return MigrationOptions(
        owner_url=owner,
        schema=settings.kline_db_schema,
        chunk_days=settings.chunk_days,
        writer_role=separate_role(writer, owner),
        reader_role=separate_role(reader, owner, setting="DATABASE_READER_URL"),
    )


def _print(names: list[str], what: str, settings: Settings) -> None:
    for name in names:
        output.line(name)
    state = "is up to date" if what.startswith("0 ") else what
    output.line(f"schema {settings.kline_db_schema}: {state}")
