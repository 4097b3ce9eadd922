"""One import worker, a process of its own: ``python -m <package>.adapters.timescale.importing.worker``.

Reads jobs from standard input and writes answers to standard output (``job``). A file is unpacked and parsed
while the one before is being stored. It ends when its input ends, which happens whatever became of its parent.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import BinaryIO

from ....errors import BadData, MarketdError, Unavailable
from ....model import Dataset
from ...binance.archive.klines import KlineTable, parse_klines
from ...binance.archive.paths import member_name
from ...binance.archive.trades import TradeTable, read_trades
from ...binance.archive.zip import read_member
from ...child_process import become_child
from ..trades.load import TradeLoader
from .job import (
    READY,
    ImportJob,
    ImportReport,
    WorkerOptions,
    error_line,
    read_job,
    read_options,
    report_line,
)
from .load import Loader
from .pieces import Pieces

_Parsed = KlineTable | Pieces[TradeTable] | MarketdError
_Work = tuple[ImportJob, _Parsed]


class Worker:
    """Parses in the calling thread and loads in another one; one parsed file, or a piece of one, may wait between."""

    def __init__(self, options: WorkerOptions, answers: BinaryIO) -> None:
        self._options = options
        self._answers = answers
        self._loader = Loader(options)
        self._trades = TradeLoader(options)
        self._parsed: queue.Queue[_Work | None] = queue.Queue(maxsize=1)

    def run(self, jobs: BinaryIO) -> None:
        """Work until ``jobs`` ends."""
        loading = threading.Thread(target=self._load_all, name="loader")
        loading.start()
        try:
            for line in jobs:
                job = read_job(line)
                parsed = self._parse(job)
                self._parsed.put((job, parsed))
                if isinstance(parsed, Pieces):
                    parsed.feed()
        finally:
            self._parsed.put(None)
            loading.join()

    def _parse(self, job: ImportJob) -> _Parsed:
        if job.file.dataset is Dataset.TRADES:
            return Pieces(lambda: self._pieces(job))
        from_ms, to_ms = job.window
        try:
            if job.file.dataset is not Dataset.CANDLES:
                raise BadData(f"{job.file.path} holds no candles", reason="dataset")
            data = read_member(job.local, member_name(job.file))
            return parse_klines(
                data, job.file.symbol, source=self._options.source, from_ms=from_ms, to_ms=to_ms
            )
        except MarketdError as error:
            return error
        except (OSError, MemoryError) as error:
            return Unavailable(f"{job.local.name} cannot be read: {error}", reason="file")

    def _pieces(self, job: ImportJob) -> Iterator[TradeTable]:
        """A file that is not the archive's may call its member as it likes, and hold any day."""
        return read_trades(
            job.local,
            member_name(job.file) if job.sha256 else None,
            job.file.symbol,
            rows=job.piece_rows,
            percentage=job.percentage,
            window=job.window if job.sha256 else None,
        )

    def _load_all(self) -> None:
        try:
            while (work := self._parsed.get()) is not None:
                job, table = work
                self._answers.write(self._load(job, table))
                self._answers.flush()
            self._loader.close()
            self._trades.close()
        except BaseException as error:
            # Nobody would take what is parsed from now on: the parsing thread would wait for ever, with a session of
            # the database. A parent that was killed shows here, as an answer that nobody reads.
            if not isinstance(error, BrokenPipeError):
                traceback.print_exc()
            os._exit(1)

    def _load(self, job: ImportJob, parsed: _Parsed) -> bytes:
        if isinstance(parsed, MarketdError):
            return error_line(job.number, parsed)
        try:
            return report_line(job.number, self._loaded(job, parsed))
        except MarketdError as error:
            return error_line(job.number, error)

    def _loaded(self, job: ImportJob, parsed: KlineTable | Pieces[TradeTable]) -> ImportReport:
        if isinstance(parsed, KlineTable):
            return self._loader.load(job, parsed)
        try:
            return self._trades.load(job, parsed.take)
        finally:
            parsed.drain()


def main() -> None:
    """The daemon decides when a worker ends: by its input, or by killing it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with become_child() as answers:
        _say_ready(answers)
        jobs = sys.stdin.buffer
        if first := jobs.readline():
            Worker(read_options(first), answers).run(jobs)


def _say_ready(answers: BinaryIO) -> None:
    """A parent that was killed while this process loaded what it needs hears nothing; it ends without a word."""
    try:
        answers.write(READY)
        answers.flush()
    except BrokenPipeError:
        os._exit(1)


if __name__ == "__main__":
    main()
