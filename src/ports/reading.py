"""The database as whoever answers questions sees it: named queries that only read."""

from __future__ import annotations

from typing import Any, Protocol


class Reader(Protocol):
    """Reads with the reader's rights, on a few sessions of its own, 10 s at most a query.

    ``query`` is ``file.name``: that query of ``sql/queries/file.sql``; ``values`` are its parameters, which are only
    ever bound. ``records`` gives each row by the names of its columns. Both raise ``Unavailable`` (also when all
    sessions are busy for too long), ``BadData`` for a value the database does not take, or ``Misconfigured``.
    """

    async def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]: ...

    async def records(self, query: str, **values: Any) -> list[dict[str, Any]]: ...
