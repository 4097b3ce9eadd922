"""One import worker as the daemon sees it: started, given jobs, and killed when it does not answer in time."""

from __future__ import annotations

import asyncio

from ....errors import MarketdError, Unavailable
from ....telemetry.log import get_logger
from ...child_process import START_S, end_child, kill_child, start_child
from .job import READY, ImportJob, ImportReport, WorkerOptions, job_line, options_line, read_answer

_LAST_WORDS_S = 5.0

log = get_logger("importer")


class ImportProcess:
    """``run`` may be called for a second file while the first is being stored; a third one only waits.

    ``deadline_s`` is how long one file may take, in wall seconds; then the process is killed, and the server rolls
    back. Every call that was under way then raises ``Unavailable`` (``worker``).
    """

    def __init__(
        self, process: asyncio.subprocess.Process, options: WorkerOptions, *, deadline_s: float
    ) -> None:
        self.options = options
        """What it was started with."""
        self._process = process
        self._deadline_s = deadline_s
        self._waiting: dict[int, asyncio.Future[ImportReport]] = {}
        self._reader = asyncio.create_task(self._read(), name=f"import worker {process.pid}")

    @classmethod
    async def start(cls, options: WorkerOptions, *, deadline_s: float) -> ImportProcess:
        """A new process. Raises ``Unavailable`` (``worker``) when it does not come up."""
        package = __name__.rpartition(".")[0]
        process = await start_child(f"{package}.worker", what="import worker", reason="worker")
        await _ready(process)
        worker = cls(process, options, deadline_s=deadline_s)
        worker._send(options_line(options))
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._reader.done()

    @property
    def in_flight(self) -> int:
        return len(self._waiting)

    async def run(self, job: ImportJob) -> ImportReport:
        """What became of ``job``. Raises what the worker says, or ``Unavailable`` (``worker``)."""
        answer: asyncio.Future[ImportReport] = asyncio.get_running_loop().create_future()
        self._waiting[job.number] = answer
        try:
            if not self.alive:
                raise Unavailable("the import worker has ended", reason="worker")
            self._send(job_line(job))
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.shield(answer)
        except TimeoutError:
            log.error("import_worker_hangs", msg=str(job.file.path), pid=self.pid, seconds=self._deadline_s)
            self.kill()
            raise Unavailable(
                f"{job.file.path}: no end within {self._deadline_s:g} s", reason="worker"
            ) from None
        finally:
            self._waiting.pop(job.number, None)
            answer.cancel()

    def kill(self) -> None:
        """End it at once; harmless when it has ended."""
        kill_child(self._process)

    async def close(self) -> None:
        """Let it finish what it has, a few seconds at most."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_LAST_WORDS_S):
                await asyncio.shield(self._reader)
        except TimeoutError:
            self.kill()
        except BaseException:
            self.kill()
            raise
        await self._reader

    def _send(self, line: bytes) -> None:
        # A broken pipe shows in the reader, which then ends every call.
        if self._process.stdin is not None:
            self._process.stdin.write(line)

    async def _read(self) -> None:
        try:
            await self._answers()
        finally:
            self.kill()
            await self._process.wait()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(
                        Unavailable(f"the import worker {self.pid} has ended", reason="worker")
                    )

    async def _answers(self) -> None:
        if self._process.stdout is None:
            return
        async for line in self._process.stdout:
            try:
                number, result = read_answer(line)
            except ValueError as error:
                log.error("import_worker_babbles", msg=str(error), pid=self.pid)
                return
            answer = self._waiting.get(number)
            if answer is None or answer.done():
                continue
            if isinstance(result, MarketdError):
                answer.set_exception(result)
            else:
                answer.set_result(result)


async def _ready(process: asyncio.subprocess.Process) -> None:
    """Wait for its first line, which it writes once everything is loaded."""
    try:
        async with asyncio.timeout(START_S):
            line = await process.stdout.readline() if process.stdout else b""
    except TimeoutError:
        line = b""
    except BaseException:
        await end_child(process)
        raise
    if line != READY:
        await end_child(process)
        raise Unavailable(f"the import worker {process.pid} does not come up", reason="worker")
