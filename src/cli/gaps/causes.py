"""Why something is missing, and what is planned about it; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from ...adapters.timescale.reports.gaps import GapsFacts
from ...collectors.backfill.days import DayPart, day_ms, day_of, day_parts, split_days
from ...collectors.backfill.plan import Knowledge, Plan, make_plan
from ...model import DAY_MS, CoverageDay, FileState, Gap, Span
from ...ports import ArchiveLayout

ASK = "`marketd backfill --from {day}`"
EXPIRES = "it expires by itself, RETENTION_DAYS no longer keeps it"
NOBODY = "no source can be asked now; looked at again within the hour"
"""What is said of minutes that nobody is going to ask for."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the daemon fills by itself: [since_ms, until_ms). ``kept_ms`` is where retention begins (0: all is kept).

    ``until_ms`` is the first minute that is not due yet.
    """

    now_ms: int
    since_ms: int
    until_ms: int
    kept_ms: int


@dataclass(frozen=True, slots=True, order=True)
class Missing:
    """Minutes of one symbol that are due and not stored, [from_ms, to_ms), with one cause and one plan.

    ``planned`` is None when nobody will ask by itself; ``hint`` then says what would happen or help, with ``{day}`` for
    the first day.
    """

    symbol: str
    from_ms: int
    to_ms: int
    minutes: int
    why: str
    planned: str | None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that is missing, by symbol and time, and the plan for the part that is planned.

    ``filled`` says whether a daemon with ``--backfill`` runs (of metrics: with ``--metrics``), which does what is
    planned. ``when`` says when it does, where no estimate is made.
    """

    missing: list[Missing] = field(default_factory=list)
    plan: Plan = field(default_factory=Plan)
    filled: bool = True
    when: str = ""

    @property
    def minutes(self) -> int:
        return sum(item.minutes for item in self.missing)

    @property
    def planned_minutes(self) -> int:
        return sum(item.minutes for item in self.missing if item.planned)


def explain(facts: GapsFacts, bounds: Bounds, layout: ArchiveLayout) -> Findings:
    """Each missing minute with its cause and what is planned for it."""
    parts = list(day_parts(facts.days, split_days(facts.holes), facts.listings, 0, bounds.until_ms))
    lines = {(day.symbol, day.day): day for day in facts.days}
    files = {known.file.path: known for known, _ in facts.files}
    known = Knowledge(layout, bounds.now_ms, files, facts.folders)
    plan = make_plan([part for part in parts if _is_planned(part, facts, bounds)], known)
    book = _Book(facts, bounds, lines, known, _ways(plan))
    found = [
        Missing(gap.symbol, gap.from_ms, gap.to_ms, gap.minutes, book.why(part, gap), *book.planned(part))
        for part in parts
        for gap in part.gaps
    ]
    found += list(book.blanks())
    return Findings(joined(found), plan, facts.filled)


def _request(part: DayPart, facts: GapsFacts) -> int | None:
    """The number of the request that this is in, if any."""
    start = day_ms(part.day)
    for request in facts.requests:
        if request.from_ms < start + DAY_MS and start < request.to_ms and request.means(part.symbol):
            return request.number
    return None


def _is_planned(part: DayPart, facts: GapsFacts, bounds: Bounds) -> bool:
    return day_ms(part.day) >= bounds.since_ms or _request(part, facts) is not None


def _ways(plan: Plan) -> dict[tuple[str, date], str]:
    """How each day is to be filled."""
    ways: dict[tuple[str, date], str] = {}
    for request in plan.requests:
        for start, end in request.wanted:
            for key in split_days([Gap(request.symbol, start, end, "")]):
                ways[key] = "REST"
    for task in plan.files:
        for key in split_days(task.gaps):
            ways[key] = f"{task.file.span.value} file"
    return ways


class _Book:
    """What is known, looked up for one part at a time."""

    def __init__(
        self,
        facts: GapsFacts,
        bounds: Bounds,
        lines: Mapping[tuple[str, date], CoverageDay],
        known: Knowledge,
        ways: Mapping[tuple[str, date], str],
    ) -> None:
        self._facts = facts
        self._bounds = bounds
        self._lines = lines
        self._known = known
        self._ways = ways
        self._details = {file.file.path: detail for file, detail in facts.files}
        self._losses: dict[str, list[Gap]] = {}
        for loss in facts.losses:
            self._losses.setdefault(loss.symbol, []).append(loss)

    def why(self, part: DayPart, gap: Gap) -> str:
        """The nearest cause first, then what was tried."""
        line = self._lines[(part.symbol, part.day)]
        reasons = [*self._lost(gap), *self._file(part)]
        if line.dirty:
            reasons.append("rows were deleted")
        if line.attempts:
            reasons.append("asked once" if line.attempts == 1 else f"asked {line.attempts} times")
        elif not reasons and (outside := self._outside(day_ms(part.day))):
            reasons.append(outside)
        return ", ".join(reasons) or "never asked"

    def planned(self, part: DayPart) -> tuple[str | None, str]:
        """What will be done by itself and when, or what a person could do."""
        start = day_ms(part.day)
        if start < self._bounds.kept_ms:
            return None, EXPIRES
        asked = _request(part, self._facts)
        if start < self._bounds.since_ms and asked is None:
            return None, ASK
        way = self._ways.get((part.symbol, part.day))
        if way is None:
            return None, NOBODY
        if asked is not None:
            return f"{way}, in request {asked}", ""
        line = self._lines[(part.symbol, part.day)]
        if line.next_look_ms > self._bounds.now_ms:
            return f"{way}, not before {_clock(line.next_look_ms)}", ""
        return way, ""

    def blanks(self) -> Sequence[Missing]:
        """Stretches of days of which nothing is known, cut to the listings."""
        found = []
        for symbol, first, last in self._facts.blank:
            hint = EXPIRES if day_ms(first) < self._bounds.kept_ms else ASK
            why = self._outside(day_ms(first)) or "never asked"
            for listing in self._facts.listings.get(symbol, ()):
                start, end = listing.window(day_ms(first), min(day_ms(last) + DAY_MS, self._bounds.until_ms))
                if start < end:
                    gap = Gap(symbol, start, end, why)
                    found.append(Missing(symbol, start, end, gap.minutes, why, None, hint))
        return found

    def _lost(self, gap: Gap) -> list[str]:
        losses = self._losses.get(gap.symbol, ())
        hit = [loss for loss in losses if loss.from_ms < gap.to_ms and gap.from_ms < loss.to_ms]
        return [f"lost from the buffer ({hit[0].reason})"] if hit else []

    def _file(self, part: DayPart) -> list[str]:
        for span in (Span.DAILY, Span.MONTHLY):
            known = self._known.files.get(self._known.file(part.listing, span, part.day).path)
            if known is None or known.state not in (FileState.QUARANTINED, FileState.MISSING):
                continue
            if known.state is FileState.MISSING:
                return [f"no {span.value} file in the archive"]
            detail = self._details.get(known.file.path, "")
            return [f"{span.value} file quarantined{f': {detail}' if detail else ''}"]
        return []

    def _outside(self, start_ms: int) -> str:
        if start_ms < self._bounds.kept_ms:
            return "older than RETENTION_DAYS"
        if start_ms < self._bounds.since_ms:
            return f"before BACKFILL_FROM ({day_of(self._bounds.since_ms)})"
        return ""


def joined(found: Sequence[Missing]) -> list[Missing]:
    """Neighbours with the same story made one."""
    kept: list[Missing] = []
    for item in sorted(found):
        last = kept[-1] if kept else None
        if last and (last.symbol, last.to_ms, last.why, last.planned) == (
            item.symbol,
            item.from_ms,
            item.why,
            item.planned,
        ):
            minutes = last.minutes + item.minutes
            kept[-1] = Missing(
                last.symbol, last.from_ms, item.to_ms, minutes, last.why, last.planned, last.hint
            )
        else:
            kept.append(item)
    return kept


def _clock(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"
