"""The rights of the daemon's role and of the reader's, from ``sql/grants``."""

from __future__ import annotations

from typing import Literal, LiteralString

from psycopg import AsyncConnection, sql

from ....paths import sql_root
from ..options import url_parts

GrantFile = Literal["writer", "reader"]


def separate_role(url: str | None, owner_url: str, *, setting: str = "DATABASE_URL") -> str:
    """The role of ``url`` when it is not the owner's, else empty. Raises ``ConfigError`` for a URL that is not one."""
    if url is None:
        return ""
    role = url_parts(url, setting=setting).get("user", "")
    owner = url_parts(owner_url, setting="DATABASE_OWNER_URL").get("user", "")
    return role if role != owner else ""


async def grant(connection: AsyncConnection, file: GrantFile, *, schema: str, role: str) -> None:
    """Give ``role`` what ``sql/grants/<file>.sql`` says and take everything else, in one transaction."""
    text: LiteralString = (sql_root() / "grants" / f"{file}.sql").read_text(encoding="utf-8")
    statements = sql.SQL(text).format(
        schema=sql.Identifier(schema),
        role=sql.Identifier(role),
        database=sql.Identifier(connection.info.dbname),
    )
    async with connection.transaction():
        await connection.execute(statements)
