"""All migrations on an empty database make exactly what ``schema.txt`` says, so a review sees what changes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import LiteralString

import psycopg

_HERE = Path(__file__).parent


async def test_the_schema_is_the_one_that_was_reviewed(database: str) -> None:
    """``UPDATE_SNAPSHOT=1`` writes the file anew."""
    query: LiteralString = (_HERE / "snapshot.sql").read_text(encoding="utf-8")
    async with await psycopg.AsyncConnection.connect(database) as connection:
        lines = [str(row[0]).rstrip() for row in await (await connection.execute(query)).fetchall()]
    found = "\n".join(sorted(lines)) + "\n"
    expected = _HERE / "schema.txt"
    if os.environ.get("UPDATE_SNAPSHOT"):
        expected.write_text(found, encoding="utf-8")
    assert found.splitlines() == expected.read_text(encoding="utf-8").splitlines()
