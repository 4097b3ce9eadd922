"""What a person sees of a filling: the plan in words, then a bar on a terminal or a line now and then."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from ...collectors.backfill.estimate import Estimate
from ...collectors.backfill.progress import Progress
from ...collectors.backfill.scope import Scope

LINE_EVERY_S = 30.0
"""Seconds between two lines where there is no terminal."""
_SHOW_EVERY_S = 0.5
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def plan_lines(scope: Scope, cost: Estimate, *, dry_run: bool) -> list[str]:
    """The plan in words, one fact a line; pure."""
    span = f"{_moment(scope.since_ms)} to {_moment(scope.until_ms)} UTC"
    subject = "all files again" if scope.force else "missing minutes"
    lines = [f"{subject} of {', '.join(scope.only)} from {span}, source {scope.source}"]
    if not cost.files and not cost.requests:
        lines.append("nothing to do: everything is there" if not cost.left else "nothing can be done now")
    else:
        lines += [
            f"  rows      {cost.rows:,} (about {size(cost.stored_bytes)} in the database)",
            f"  files     {cost.files:,} to download (about {size(cost.download_bytes)})",
            f"  requests  {cost.requests:,} to REST (weight {cost.weight:,})",
            f"  time      about {duration(cost.seconds)} at the present budget",
        ]
    if cost.left:
        lines.append(f"  left out  {cost.left:,} minutes that this source cannot give now")
    if dry_run:
        lines.append("nothing was done (--dry-run)")
    return lines


def size(amount: float) -> str:
    """Bytes for people: ``2.3 GB``."""
    for unit in _UNITS[:-1]:
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} {_UNITS[-1]}"


def duration(seconds: float) -> str:
    """Seconds for people: ``2 h 05 min``, ``3 min``, ``12 s``."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _moment(ms: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return f"{moment:%Y-%m-%d}" if ms % 86_400_000 == 0 else f"{moment:%Y-%m-%d %H:%M}"


class ProgressView:
    """A context: shows how far it is while it is entered. ``rows`` is what the plan is for."""

    def __init__(
        self, rows: int, *, stream: TextIO | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._rows = rows
        self._stream = stream or sys.stdout
        self._now = now
        self._began = self._last_line = now()
        self._bar: Bar | None = None
        if self._stream.isatty():
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[speed]}"),
                TimeElapsedColumn(),
                console=Console(file=self._stream),
            )
            self._task = self._bar.add_task("backfill", total=max(rows, 1), speed="")

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    async def follow(self, progress: Progress) -> None:
        """Show it again and again, until cancelled."""
        while True:
            self.show(progress)
            await asyncio.sleep(_SHOW_EVERY_S)

    def show(self, progress: Progress) -> None:
        """Bring the bar up to date, or write a line if it is time for one."""
        if self._bar:
            total = max(self._rows, progress.minutes_planned, 1)
            self._bar.update(
                self._task, completed=progress.minutes_done, total=total, speed=self._speed(progress)
            )
        elif self._now() - self._last_line >= LINE_EVERY_S:
            self._last_line = self._now()
            self._stream.write(f"{self.line(progress)}\n")
            self._stream.flush()

    def line(self, progress: Progress) -> str:
        """One line that says all of it."""
        total = max(self._rows, progress.minutes_planned)
        share = 100 * progress.minutes_done / total if total else 100.0
        return f"backfill {share:.1f} % of {total:,} rows, {self._speed(progress)}"

    def _speed(self, progress: Progress) -> str:
        if progress.note:
            return f"waiting: {progress.note}"
        passed = self._now() - self._began
        if not progress.minutes_done or passed <= 0:
            return "beginning"
        rate = progress.minutes_done / passed
        left = max(self._rows, progress.minutes_planned) - progress.minutes_done
        return f"{rate:,.0f} rows/s, {duration(left / rate)} left"
