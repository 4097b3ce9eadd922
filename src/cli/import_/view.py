"""What a person sees of ``marketd import``: a bar on a terminal, a line now and then elsewhere, a report at the end."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ...collectors.takeover import Progress
from .. import output

_LINE_S = 30.0
"""Wall seconds between two lines where nobody watches a bar."""


class Watch:
    """Shows progress on standard error while it is entered; ``table`` is what is read."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._began = self._told = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Watch:
        if sys.stderr.isatty():
            self._bar = Bar(
                TextColumn(f"{self._table}, symbols"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rows]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("import", total=None, rows="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Called after every batch."""
        now = time.monotonic()
        rows = f"{progress.rows_read:,} rows, {progress.rows_read / max(now - self._began, 0.1):,.0f}/s"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=progress.symbols, completed=progress.symbols_done, rows=rows)
        elif now - self._told >= _LINE_S:
            self._told = now
            output.note(f"{self._table}: {progress.symbols_done:,} of {progress.symbols:,} symbols, {rows}")


@dataclass(slots=True)
class Tally:
    """What a dry run counts in one table."""

    table: str
    symbols: int = 0
    unknown: int = 0
    months: int = 0
    left: int = 0
    span_ms: int = 0

    def add(self, first_ms: int, last_ms: int, *, months: int, left: int) -> None:
        """A symbol with rows in [first_ms, last_ms)."""
        self.symbols += 1
        self.months += months
        self.left += left
        self.span_ms += max(0, last_ms - first_ms)

    def tell(self, step_ms: int) -> None:
        """Print it; there is at most a row each ``step_ms``."""
        rows = self.span_ms // step_ms + self.symbols
        output.pairs(
            [
                ("table", self.table),
                (
                    "symbols",
                    f"{self.symbols:,}, {self.unknown:,} of them not known here: they would be refused",
                ),
                ("months", f"{self.months:,}, {self.left:,} of them still to take over"),
                ("rows", f"{rows:,} at most, without holes between the first and the last of each symbol"),
            ]
        )


def report(progress: Progress, table: str) -> None:
    """What became of the rows; the parts add up to those read."""
    refused = progress.refused.total()
    lines = [
        ("table", table),
        ("symbols", f"{progress.symbols:,}"),
        ("months", f"{progress.months_done:,} taken over, {progress.months_known:,} were already"),
        ("rows read", f"{progress.rows_read:,}"),
        ("stored", f"{progress.inserted:,} new, {progress.replaced:,} in place of rows that knew less"),
        ("known", f"{progress.unchanged:,} that a better or equal row was there for"),
        ("refused", f"{refused:,}"),
    ]
    for reason, rows in progress.refused.most_common():
        lines.append((f"  {reason}", f"{rows:,}, such as {progress.examples[reason]}"))
    output.pairs(lines)
