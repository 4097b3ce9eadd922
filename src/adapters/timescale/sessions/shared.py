"""One session that several stores share: opened by the first call, made anew after it was lost, one call at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import nullcontext
from typing import Any, LiteralString, TypeVar

from psycopg import AsyncConnection

from ....slices import a_slice
from ....telemetry.metrics import Metrics
from ..options import DatabaseOptions
from .arrays import has_long_lists, with_literals
from .session import Session

T = TypeVar("T")
Row = tuple[Any, ...]


class SharedSession:
    """``rows`` runs one statement, ``call`` whatever needs more; both within the session's deadline.

    Statements are never prepared: only a plan made for these very bounds leaves out the chunks that cannot matter.
    Raises ``Unavailable``, ``BadData`` or ``Misconfigured``.
    """

    def __init__(self, options: DatabaseOptions, *, purpose: str, metrics: Metrics | None = None) -> None:
        self.exchange = options.exchange
        self._options = options
        self._purpose = purpose
        self._metrics = metrics
        self._session: Session | None = None
        self._turn = asyncio.Lock()

    async def rows(self, statement: LiteralString, parameters: Mapping[str, object]) -> list[Row]:
        """The rows of ``statement``, none when it gives none."""

        async def work(connection: AsyncConnection) -> list[Row]:
            return await fetch(connection, statement, parameters)

        return await self.call(work)

    async def call(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        """The result of ``work`` on the session's connection."""
        async with self._turn:
            if self._session is None or not self._session.alive:
                self._session = await Session.connect(
                    self._options,
                    purpose=self._purpose,
                    writable=True,
                    prepare_threshold=None,
                    on_error=self._count,
                )
            return await self._session.call(work(self._session.connection))

    async def close(self) -> None:
        """Drop the connection; the next call makes a new one."""
        if self._session is not None:
            self._session.drop()
            self._session = None

    def _count(self, sqlstate_class: str) -> None:
        if self._metrics:
            self._metrics.database_errors.labels(sqlstate_class).inc()


async def fetch(
    connection: AsyncConnection, statement: LiteralString, parameters: Mapping[str, object]
) -> list[Row]:
    """The rows of ``statement`` within a ``call``; lists are arrays whose types the statement says."""
    async with a_slice() if has_long_lists(parameters) else nullcontext():
        given = with_literals(parameters)
    cursor = await connection.execute(statement, given)
    return await cursor.fetchall() if cursor.description else []
