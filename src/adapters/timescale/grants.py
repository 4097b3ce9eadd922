"""The rights of the daemon's role, from ``sql/grants/writer.sql``."""

from __future__ import annotations

from typing import LiteralString

from psycopg import AsyncConnection, sql

from ...paths import sql_root
from .options import url_parts


def writer_role(writer_url: str, owner_url: str) -> str:
    """The role that ``grant_writer`` is for: the writer's when it is not the owner's, else empty.

    Raises ``ConfigError`` for a URL that is not one.
    """
    writer = url_parts(writer_url).get("user", "")
    owner = url_parts(owner_url, setting="DATABASE_OWNER_URL").get("user", "")
    return writer if writer != owner else ""


async def grant_writer(connection: AsyncConnection, *, schema: str, role: str) -> None:
    """Give ``role`` what the daemon needs and take everything else; in one transaction, so it is never without."""
    text: LiteralString = (sql_root() / "grants" / "writer.sql").read_text(encoding="utf-8")
    statements = sql.SQL(text).format(
        schema=sql.Identifier(schema),
        role=sql.Identifier(role),
        database=sql.Identifier(connection.info.dbname),
    )
    async with connection.transaction():
        await connection.execute(statements)
