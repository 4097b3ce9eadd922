"""``live_all``: what ``live`` measures of a daemon that does everything (``--all``), tasks on their schedules included.

The history of two days is filled before the measured minutes; what filling costs beside the live rows is
``live_backfill``'s to say, what it costs the event loop ``loop_lag``'s.
"""

from __future__ import annotations

from contextlib import nullcontext

from benchmarks.live import run_beside


def run() -> dict[str, object]:
    """{what ``live`` gives}; takes a quarter of an hour."""
    return run_beside(lambda _: nullcontext({}), "--all", BACKFILL_FROM="2d")
