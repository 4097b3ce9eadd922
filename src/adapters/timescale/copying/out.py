"""Rows out of the server (COPY TO STDOUT) by libpq's own calls, for sessions that may block.

A row takes a third of the time that it takes a cursor.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any, LiteralString

from psycopg import ClientCursor, Connection
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

_NO_MORE = (-1, b"")
_TOGETHER = 256


def copied(
    connection: Connection, statement: LiteralString, values: Mapping[str, Any] | None
) -> Generator[bytes, None, None]:
    """What the server sends, some messages at a time: the header and rows, at last the trailer.

    Nothing else may be asked until it is exhausted or closed. Raises ``psycopg.Error``.
    """
    session = connection.pgconn
    text = ClientCursor(connection).mogrify(statement, values)
    begun = session.exec_(text.encode(connection.info.encoding))
    if begun.status != ExecStatus.COPY_OUT:
        raise error_from_result(begun, encoding=connection.info.encoding)
    # Each row is a message. They are taken and joined without a line of Python for each, and a few at a time: as many
    # objects as a large block has rows would have the garbage collector look at all of them again and again.
    messages = map(itemgetter(1), iter(partial(session.get_copy_data, 0), _NO_MORE))
    whole = False
    try:
        while joined := b"".join(islice(messages, _TOGETHER)):
            yield joined
        whole = True
    finally:
        if not whole:
            _give_up(connection)
    results = [*_results(session)]
    if results[0].status != ExecStatus.COMMAND_OK:
        raise error_from_result(results[0], encoding=connection.info.encoding)


def _give_up(connection: Connection) -> None:
    """Have the server stop, and throw away what it had sent, so that the session can go on."""
    session = connection.pgconn
    connection.cancel_safe()
    while session.get_copy_data(0)[0] >= 0:
        pass
    for _ in _results(session):
        pass


def _results(session: PGconn) -> Iterator[PGresult]:
    """All that are left: the session takes nothing new before."""
    while (result := session.get_result()) is not None:
        yield result
