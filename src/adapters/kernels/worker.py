"""One kernel process: ``python -m <package>.adapters.kernels.worker``.

Reads where the database is, then calls, from standard input and answers on standard output, one after the other. It
ends when its input ends, which happens whatever became of its parent.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any, BinaryIO

from ..child_process import become_child
from ..timescale.copying.tables import DatabaseTables
from ..timescale.options import DatabaseOptions
from .frames import Call, Done, Failed, Note, Setup, encode, read


class Worker:
    """Answers calls; what a function says of its progress goes out at once.

    A function is given ``note``, ``tables`` (a session of its own, made when it is first used and ended with the call),
    and its arguments.
    """

    def __init__(self, calls: BinaryIO, answers: BinaryIO, package: str) -> None:
        self._database: DatabaseOptions | None = None
        self._calls = calls
        self._answers = answers
        self._package = package

    def run(self) -> None:
        """Work until the calls end."""
        self._send(Note("ready"))
        try:
            setup: Setup = read(self._calls)
            self._database = setup.database
            # Of what it writes to, not of what libraries map and never touch.
            resource.setrlimit(resource.RLIMIT_DATA, (setup.memory_mb * 1_000_000,) * 2)
            while True:
                self._send(self._answer(read(self._calls)))
        except EOFError:
            return

    def note(self, text: str, share: float | None = None) -> None:
        """Tell how far a call has come."""
        self._send(Note(text, share))

    def _answer(self, call: Call) -> Done | Failed:
        tables = self._tables()
        try:
            function = self._function(call.function)
            return Done(function(tables=tables, note=self.note, **call.arguments))
        except Exception as error:
            return Failed(error, traceback.format_exc())
        finally:
            if tables is not None:
                tables.close()

    def _tables(self) -> DatabaseTables | None:
        return None if self._database is None else DatabaseTables(self._database)

    def _function(self, name: str) -> Callable[..., Any]:
        module, _, function = name.partition(":")
        found: Callable[..., Any] = getattr(import_module(f"{self._package}.{module}"), function)
        return found

    def _send(self, value: object) -> None:
        try:
            body = encode(value)
        except Exception as error:  # a result, or an error, that cannot be sent
            body = encode(Failed(TypeError(f"{type(value).__name__} cannot be sent: {error}"), ""))
        self._answers.write(body)
        self._answers.flush()


def main() -> None:
    """Take over standard input and output; whatever else prints goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = become_child()
    package = (__package__ or "").rpartition(".adapters.")[0]
    try:
        Worker(sys.stdin.buffer, answers, package).run()
    except BrokenPipeError:
        os._exit(1)


if __name__ == "__main__":
    main()
