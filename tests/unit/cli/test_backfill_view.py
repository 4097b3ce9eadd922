"""What a person sees of a filling."""

from __future__ import annotations

from io import StringIO

import pytest

from src.cli.backfill.view import LINE_EVERY_S, ProgressView, duration, plan_lines, size
from src.collectors.backfill.estimate import Estimate
from src.collectors.backfill.progress import Progress
from src.collectors.backfill.scope import Scope
from src.collectors.listings.selection import Selection

DAY_MS = 86_400_000
SCOPE = Scope(Selection(), 20_000 * DAY_MS, 20_030 * DAY_MS + 60_000, only=("BTCUSDT", "ETH*"))


def test_the_plan_says_rows_bytes_weight_and_time() -> None:
    cost = Estimate(1_000_000, 30, 12, 38_000_000, 265_000_000, 24, 7_500.0, left=5)
    text = "\n".join(plan_lines(SCOPE, cost, dry_run=True))
    assert text == (
        "missing minutes of BTCUSDT, ETH* from 2024-10-04 to 2024-11-03 00:01 UTC, source auto\n"
        "  rows      1,000,000 (about 265 MB in the database)\n"
        "  files     30 to download (about 38 MB)\n"
        "  requests  12 to REST (weight 24)\n"
        "  time      about 2 h 05 min at the present budget\n"
        "  left out  5 minutes that this source cannot give now\n"
        "nothing was done (--dry-run)"
    )


def test_an_empty_plan_says_so() -> None:
    assert plan_lines(SCOPE, Estimate(), dry_run=False)[-1] == "nothing to do: everything is there"
    assert "nothing can be done now" in plan_lines(SCOPE, Estimate(left=3), dry_run=False)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "1 s"), (89.0, "89 s"), (90.0, "2 min"), (5_399.0, "1 h 30 min"), (36_000.0, "10 h 00 min")],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_are_for_people() -> None:
    assert [size(amount) for amount in (0, 999, 1_000, 2_340_000_000, 5e15)] == [
        "0 bytes", "999 bytes", "1 kB", "2.34 GB", "5e+03 TB",
    ]  # fmt: skip


def test_without_a_terminal_there_is_a_line_every_half_minute() -> None:
    stream, clock = StringIO(), [0.0]
    progress = Progress(minutes_planned=1000)
    with ProgressView(1000, stream=stream, now=lambda: clock[0]) as view:
        for second in range(int(2 * LINE_EVERY_S) + 1):
            clock[0] = float(second)
            progress.minutes_done = 5 * second
            view.show(progress)
    assert stream.getvalue() == (
        "backfill 15.0 % of 1,000 rows, 5 rows/s, 3 min left\nbackfill 30.0 % of 1,000 rows, 5 rows/s, 2 min left\n"
    )


def test_standing_still_says_why() -> None:
    view = ProgressView(10, stream=StringIO())
    assert view.line(Progress(note="folder")).endswith("waiting: folder")
    assert view.line(Progress()).endswith("beginning")


def test_on_a_terminal_there_is_a_bar() -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    stream, clock = Terminal(), [0.0]
    with ProgressView(100, stream=stream, now=lambda: clock[0]) as view:
        clock[0] = 1.0
        view.show(Progress(minutes_planned=100, minutes_done=50))
    assert "50/100" in stream.getvalue()
    assert "50 rows/s" in stream.getvalue()
