"""One connection with a deadline on every call, and a way to drop it that never waits for the other side."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from ....errors import Unavailable
from ..errors import CLIENT_ERRORS, judge, sqlstate_class, translate
from ..options import DatabaseOptions
from ..queries import query

T = TypeVar("T")
ErrorCounter = Callable[[str], None]
"""Told the SQLSTATE class of every failed call (``none`` without one)."""


class Session:
    """One PostgreSQL session. ``connect`` makes it, ``call`` works on it, ``drop`` ends it at once.

    A call that takes longer than the deadline, or is cancelled, ends the session: its socket is shut, which wakes
    the call whatever the other side does, and the server rolls back. Whether a COMMIT under way then took effect
    cannot be known; every statement we send may therefore be sent again (G3).
    """

    def __init__(self, connection: AsyncConnection, *, deadline_s: float, on_error: ErrorCounter) -> None:
        self._connection = connection
        self._deadline_s = deadline_s
        self._on_error = on_error

    @classmethod
    async def connect(
        cls,
        options: DatabaseOptions,
        *,
        purpose: str,
        writable: bool,
        prepare_threshold: int | None = 5,
        on_error: ErrorCounter = lambda _: None,
    ) -> Session:
        """A new session with our settings. Raises ``Unavailable``, ``Misconfigured`` or ``ConfigError``."""
        info = options.conninfo(purpose, writable=writable)
        try:
            async with asyncio.timeout(options.deadline_s):
                connection = await AsyncConnection.connect(
                    info, autocommit=True, prepare_threshold=prepare_threshold
                )
        except TimeoutError:
            on_error("none")
            raise Unavailable("database: no answer to connecting", reason="connection") from None
        except CLIENT_ERRORS as error:
            on_error(sqlstate_class(error))
            raise translate(error) from error
        session = cls(connection, deadline_s=options.deadline_s, on_error=on_error)
        try:
            await session.call(session._configure(options))
        except BaseException:
            session.drop()
            raise
        return session

    @property
    def alive(self) -> bool:
        """False once the session was dropped or is known to be lost."""
        return not self._connection.closed

    @property
    def connection(self) -> AsyncConnection:
        """For the body of a ``call`` only."""
        return self._connection

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work``, which uses ``connection``, within the deadline; database errors come out translated."""
        task = asyncio.create_task(work, name="database call")
        try:
            done, _ = await asyncio.wait({task}, timeout=self._deadline_s)
        except asyncio.CancelledError:
            await self._sever(task)
            raise
        if not done:
            await self._sever(task)
            self._on_error("none")
            raise Unavailable(f"database: no answer within {self._deadline_s:g} s", reason="deadline")
        return self._result(task)

    def drop(self) -> None:
        """Close at once, without a word to the server; harmless when done twice."""
        if not self._connection.closed:
            self._shut_socket()
            self._connection.pgconn.finish()

    def _result(self, task: asyncio.Task[T]) -> T:
        try:
            return task.result()
        except CLIENT_ERRORS as error:
            self._on_error(sqlstate_class(error))
            idle = not self._connection.closed and self._status() is TransactionStatus.IDLE
            if judge(error).reconnect or not idle:
                self.drop()
            raise translate(error) from error

    async def _sever(self, task: asyncio.Task[Any]) -> None:
        """Make the call end now: with its socket shut it can only fail, so waiting for it takes no time."""
        self._shut_socket()
        await asyncio.wait({task})
        with contextlib.suppress(asyncio.CancelledError):
            task.exception()  # looked at, so that asyncio does not report it as lost
        self.drop()

    def _shut_socket(self) -> None:
        # Not close(): the event loop still watches the descriptor, and a new connection could get its number.
        with (
            contextlib.suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(self._connection.pgconn.socket)) as duplicate,
        ):
            duplicate.shutdown(socket.SHUT_RDWR)

    def _status(self) -> TransactionStatus:
        return self._connection.info.transaction_status

    async def _configure(self, options: DatabaseOptions) -> None:
        settings = {"schema": options.schema, "lock_timeout": "5s", "statement_timeout": "20s"}
        await self._connection.execute(query("session", "configure"), settings)
