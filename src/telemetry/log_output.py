"""The last step of a log line: repeats are held back, and writing never raises, blocks or spins.

A full disk, a closed pipe and a reader that has stopped reading cost log lines (counted), never market data.
"""

from __future__ import annotations

import logging
import os
import select
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TextIO

from prometheus_client import Counter

from .log_file import LogFile

# The first lines of a storm say what happens; the number left out is enough of the rest.
REPEATS_PER_WINDOW = 10
WINDOW_S = 60.0
_MAX_KEYS = 1_000

# A pipe that polls as writable takes this many bytes without blocking (PIPE_BUF, pipe(7)).
_CHUNK_BYTES = 4_096
# How long a slow reader is waited for before its line is given up; the event loop stands still meanwhile.
_PATIENCE_MS = 20


class RepeatFilter(logging.Filter):
    """Lets ``burst`` lines of one event through a window, then holds them back and counts them.

    The next line let through carries ``suppressed``, the number held back before it. Debug lines always pass:
    somebody asked for them.
    """

    def __init__(
        self,
        *,
        burst: int = REPEATS_PER_WINDOW,
        window: float = WINDOW_S,
        suppressed: Counter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._burst, self._window, self._suppressed, self._clock = burst, window, suppressed, clock
        self._seen: OrderedDict[tuple[str, int, str], list[float]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno <= logging.DEBUG:
            return True
        entry = self._entry(record)
        if entry[1] >= self._burst:
            entry[2] += 1
            if self._suppressed is not None:
                self._suppressed.inc()
            return False
        entry[1] += 1
        if entry[2]:
            record.suppressed = int(entry[2])
            entry[2] = 0
        return True

    def _entry(self, record: logging.LogRecord) -> list[float]:
        """[start of the window, lines let through in it, lines held back since the last one let through]."""
        event = record.msg.get("event", "") if isinstance(record.msg, dict) else record.msg
        key = (record.name, record.levelno, str(event))
        now = self._clock()
        entry = self._seen.get(key)
        if entry is None:
            entry = self._seen[key] = [now, 0, 0]
            if len(self._seen) > _MAX_KEYS:
                self._seen.popitem(last=False)
        elif now - entry[0] >= self._window:
            entry[0], entry[1] = now, 0
        self._seen.move_to_end(key)
        return entry


class SafeHandler(logging.Handler):
    """Writes each formatted record as one write to the stream's descriptor, past Python's own buffer.

    (A line left in that buffer would fail again at exit and turn a clean exit into code 120.)
    ``lost`` counts what could not be written. ``file`` is looked after before each line.
    """

    def __init__(
        self, stream: TextIO | None, lost: Counter | None = None, file: LogFile | None = None
    ) -> None:
        super().__init__()
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._poll = _pollable(self._descriptor)
        self._lost = lost
        self._file = file
        self._stalled = False
        self._torn = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._file is not None:
                self._file.keep()
            self._write(self.format(record) + "\n")
        except Exception:  # a log line may never take the daemon down; the counter tells of it
            if self._lost is not None:
                self._lost.inc()

    def _write(self, line: str) -> None:
        if self._descriptor is None:
            if self._stream is None:
                raise OSError("no stream")
            self._stream.write(line)
            self._stream.flush()
            return
        data = line.encode("utf-8", "backslashreplace")
        if self._torn:
            data = b"\n" + data
        self._write_bytes(memoryview(data))

    def _write_bytes(self, data: memoryview) -> None:
        written = 0
        try:
            while written < len(data):
                self._wait_writable()
                written += os.write(self._descriptor or 0, data[written : written + _CHUNK_BYTES])
        finally:
            if written:
                self._torn = written < len(data)

    def _wait_writable(self) -> None:
        """Raises when the reader does not read; while it stays so, later lines do not wait at all."""
        if self._poll is None:
            return
        if not self._poll.poll(0 if self._stalled else _PATIENCE_MS):
            self._stalled = True
            raise BlockingIOError("the log's reader does not read")
        self._stalled = False


def _descriptor(stream: TextIO | None) -> int | None:
    try:
        return stream.fileno() if stream is not None else None
    except (OSError, ValueError, AttributeError):
        return None


def _pollable(descriptor: int | None) -> select.poll | None:
    if descriptor is None:
        return None
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return poll
