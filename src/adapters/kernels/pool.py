"""A few kernel processes, started when they are needed, and killed when nobody waits for them any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...errors import MarketdError, Unavailable
from ...telemetry.log import get_logger
from ..child_process import START_S, end_child, kill_child, start_child
from ..timescale.options import DatabaseOptions
from .frames import Call, Failed, Note, Setup, encode, receive

Noted = Callable[[str, float | None], None]
"""Told a line for people, and the share done where it is known."""

log = get_logger("kernels")


@dataclass(frozen=True, slots=True)
class KernelOptions:
    """``processes`` at most, each with ``memory_mb``; one that did nothing for ``idle_s`` wall seconds is let go."""

    processes: int = 1
    idle_s: float = 600.0
    memory_mb: int = 4096


class KernelPool:
    """``run`` calls a function in a process of its own; no thread, no queue of results, nothing shared.

    The libraries that compute (numba, scipy, polars) are loaded there and nowhere else. A call that is cancelled, or
    takes longer than its deadline, has its process killed: whatever it did in a transaction is rolled back by the
    server.
    """

    def __init__(self, options: KernelOptions, database: DatabaseOptions | None = None) -> None:
        self._options = options
        self._database = database
        self._closed = False
        self._places = asyncio.Semaphore(options.processes)
        self._idle: list[tuple[_Process, asyncio.TimerHandle]] = []

    async def run(
        self,
        function: str,
        *,
        deadline_s: float,
        noted: Noted = lambda text, share: None,
        began: Callable[[], None] = lambda: None,
        **arguments: Any,
    ) -> Any:
        """What ``function`` (``module:name``, relative to this package) returns for ``arguments``.

        It gets ``note`` and ``tables`` besides them (``ports.tables``; no tables without a ``database``). Raises what
        it raises, and ``Unavailable`` (``kernel``) when its process ended, did not come up, or was killed at the
        deadline. ``began`` is called when one of the processes is free for it.
        """
        async with self._places:
            began()
            process = await self._take()
            try:
                async with asyncio.timeout(deadline_s):
                    value = await process.call(Call(function, arguments), noted)
            except TimeoutError:
                log.error("kernel_killed", msg=f"{function}: no end within {deadline_s:g} s", pid=process.pid)
                raise Unavailable(f"{function}: no end within {deadline_s:g} s", reason="kernel") from None
            finally:
                await self._put_back(process)
            return value

    async def close(self) -> None:
        """End every process at once; one that works ends with its call."""
        self._closed = True
        while self._idle:
            process, timer = self._idle.pop()
            timer.cancel()
            await process.end()

    async def _take(self) -> _Process:
        while self._idle:
            process, timer = self._idle.pop()
            timer.cancel()
            if process.alive and process.url == self._url:
                return process
            await process.end()
        return await _Process.start(Setup(self._database, self._options.memory_mb))

    @property
    def _url(self) -> str | None:
        """As it is now: a process that was started with another password could not connect any more."""
        return None if self._database is None else self._database.plain_url

    async def _put_back(self, process: _Process) -> None:
        if self._closed or not process.answered:
            await process.end()
            return
        timer = asyncio.get_running_loop().call_later(self._options.idle_s, process.kill)
        self._idle.append((process, timer))


class _Process:
    def __init__(self, process: asyncio.subprocess.Process, url: str | None) -> None:
        self.url = url
        """The connection string it was started with."""
        if process.stdin is None or process.stdout is None:
            raise ValueError("a kernel process needs both pipes")
        self._process, self._calls, self._answers = process, process.stdin, process.stdout
        self.answered = True
        """False while a call is under way, and for ever after one that was given up."""

    @classmethod
    async def start(cls, setup: Setup) -> _Process:
        """A new process. Raises ``Unavailable`` (``kernel``) when it does not come up."""
        database = setup.database
        url = None if database is None else database.plain_url
        package = __name__.rpartition(".")[0]
        process = await start_child(f"{package}.worker", what="kernel process", reason="kernel")
        started = cls(process, url)
        try:
            async with asyncio.timeout(START_S):
                await receive(started._answers)
                # Not an argument of the command line, nor in the environment: everybody on the machine may read those.
                started._calls.write(encode(setup))
                await started._calls.drain()
        except BaseException as error:
            await started.end()
            if isinstance(error, EOFError | TimeoutError | ConnectionError):
                raise Unavailable(
                    f"the kernel process {process.pid} does not come up", reason="kernel"
                ) from None
            raise
        return started

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def call(self, call: Call, noted: Noted) -> Any:
        self.answered = False
        try:
            self._calls.write(encode(call))
            await self._calls.drain()
            while isinstance(answer := await receive(self._answers), Note):
                noted(answer.text, answer.share)
        except (EOFError, ConnectionError):
            raise Unavailable(f"{call.function}: its process {self.pid} has ended", reason="kernel") from None
        self.answered = True
        if isinstance(answer, Failed):
            if not isinstance(answer.error, MarketdError):
                log.error("kernel_failed", msg=answer.trace, function=call.function)
            raise answer.error
        return answer.value

    def kill(self) -> None:
        """End it at once; harmless when it has ended."""
        kill_child(self._process)

    async def end(self) -> None:
        """Kill it and wait until it is gone, also when the caller is cancelled."""
        await end_child(self._process)
