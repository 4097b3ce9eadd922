"""Why futures metrics are missing, and what will become of it; pure. Minutes, of which each row is five."""

from __future__ import annotations

from ...adapters.timescale.reports.gaps import GapsFacts
from ...collectors.backfill.days import day_ms, day_of, split_days
from ...collectors.metrics.plan import MOST_ROWS
from ...model import DAY_MS, FIVE_MINUTES_MS, CoverageDay, FileState, Gap
from ...ports import ArchiveLayout
from .causes import EXPIRES, Bounds, Findings, Missing, joined

RAISE = "BACKFILL_FROM {day} or earlier"
WHEN = "as rows or files come: the daemon with --metrics asks REST all the time, and for files every hour"
NOBODY_FILLS = "when a daemon with --metrics runs; none does"
_REST_MS = MOST_ROWS * FIVE_MINUTES_MS


def explain_metrics(facts: GapsFacts, bounds: Bounds, layout: ArchiveLayout) -> Findings:
    """Each missing period with its cause and what is planned for it; ``layout`` is not needed, a day has one file."""
    lines = {(day.symbol, day.day): day for day in facts.days}
    files = {
        (known.file.symbol, known.file.first_day): (known.state, detail) for known, detail in facts.files
    }
    found = []
    for (symbol, day), gaps in split_days(facts.holes).items():
        line = lines[symbol, day]
        state, detail = files.get((symbol, day), (None, ""))
        why = _why(line, state, detail, bounds)
        for gap in gaps:
            planned, hint = _planned(line, gap, bounds)
            found.append(Missing(symbol, gap.from_ms, gap.to_ms, gap.minutes, why, planned, hint))
    for symbol, first, last in facts.blank:
        for listing in facts.listings.get(symbol, ()):
            start, end = listing.window(day_ms(first), min(day_ms(last) + DAY_MS, bounds.until_ms))
            if start < end:
                why, hint = _outside(start, bounds)
                found.append(Missing(symbol, start, end, (end - start) // 60_000, why, None, hint))
    return Findings(joined(found), filled=facts.filled, when=WHEN if facts.filled else NOBODY_FILLS)


def _why(line: CoverageDay, state: FileState | None, detail: str, bounds: Bounds) -> str:
    reasons = []
    if state is FileState.QUARANTINED:
        reasons.append(f"daily file quarantined{f': {detail}' if detail else ''}")
    elif state is FileState.MISSING:
        reasons.append("no daily file in the archive")
    elif state is FileState.IMPORTED:
        reasons.append("the daily file lacks it")
    if line.dirty:
        reasons.append("rows were deleted")
    if line.attempts:
        reasons.append("asked once" if line.attempts == 1 else f"asked {line.attempts} times")
    elif not reasons and day_ms(line.day) < bounds.since_ms:
        reasons.append(_outside(day_ms(line.day), bounds)[0])
    return ", ".join(reasons) or "never asked"


def _planned(line: CoverageDay, gap: Gap, bounds: Bounds) -> tuple[str | None, str]:
    if gap.from_ms < bounds.since_ms:
        return None, _outside(gap.from_ms, bounds)[1]
    if gap.from_ms >= bounds.now_ms - _REST_MS:
        return "REST", ""
    if line.next_look_ms > bounds.now_ms:
        return f"daily file, not before {day_of(line.next_look_ms)}", ""
    return "daily file", ""


def _outside(start_ms: int, bounds: Bounds) -> tuple[str, str]:
    """Why nobody fills it, and what would help."""
    if start_ms < bounds.kept_ms:
        return "older than RETENTION_DAYS", EXPIRES
    return f"before BACKFILL_FROM ({day_of(bounds.since_ms)})", RAISE
