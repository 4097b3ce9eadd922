"""Which source each missing minute is to come from; pure.

Whole missing months come from the monthly file, days of which much is missing from the daily one, single holes and
the last two days over REST. What was tried and gave nothing is not tried the same way again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from ...model import DAY_MS, MINUTE_MS, ArchiveFile, Dataset, FileState, Gap, KnownFile, Listing, Span
from ...ports import ArchiveLayout
from ...slices import at_once
from ..repair.ranges import Request
from .cheapest import cheapest, gaps_by_symbol, weight, worth_a_file
from .days import DayPart, day_ms, day_of, listed_days, month_of, next_month

REST_DAYS = 2
"""Today and yesterday: their daily files are not published, or may not be yet."""
MONTHLY_AFTER_MS = 7 * DAY_MS
"""A monthly file is expected on the first Monday of the next month."""
ASK_AGAIN_MS = DAY_MS
"""A file that was not there is asked for again after a day: 404 means not yet, or never."""


class Source(StrEnum):
    """Where a person wants the rows from."""

    AUTO = "auto"
    ZIP = "zip"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class FileTask:
    """Import one archive file. ``gaps`` is what it is expected to fill, ``days`` those it holds."""

    file: ArchiveFile
    days: tuple[date, ...]
    gaps: tuple[Gap, ...]

    @property
    def minutes(self) -> int:
        return sum(gap.minutes for gap in self.gaps)

    @property
    def newest(self) -> date:
        return self.days[-1]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, newest first. ``left`` are the minutes that no source can be asked for now."""

    files: tuple[FileTask, ...] = ()
    requests: tuple[Request, ...] = ()
    left: int = 0

    @property
    def minutes(self) -> int:
        """Missing minutes that a task is for."""
        return sum(task.minutes for task in self.files) + sum(
            1 for request in self.requests for _ in request.minutes()
        )

    @property
    def weight(self) -> int:
        """What the requests cost."""
        return sum(weight(minutes_of(request)) for request in self.requests)

    @property
    def empty(self) -> bool:
        return not self.files and not self.requests


@dataclass(slots=True)
class Tried:
    """What one filling has done already and need not do again.

    ``asked`` are days that REST was asked about in vain, with what was known then of the day's file; ``files`` the
    paths that were dealt with, whatever the database says of them.
    """

    asked: dict[tuple[str, date], FileState | None] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known when a plan is made. ``folders`` names the archive's folder of each listing that has another
    one than its symbol, by (symbol, onboard_ms)."""

    layout: ArchiveLayout
    now_ms: int
    files: Mapping[str, KnownFile] = field(default_factory=dict)
    folders: Mapping[tuple[str, int], str] = field(default_factory=dict)
    tried: Tried = field(default_factory=Tried)

    def file(self, listing: Listing, span: Span, day: date) -> ArchiveFile:
        folder = self.folders.get((listing.symbol, listing.onboard_ms), listing.symbol)
        return self.layout.file(Dataset.CANDLES, span, folder, listing.symbol, day)

    def state(self, file: ArchiveFile) -> FileState | None:
        """What became of the file; a 404 of yesterday is forgotten. LISTED: rows that it brought are gone since."""
        known = self.files.get(file.path)
        if file.path in self.tried.files and (known is None or known.state is FileState.LISTED):
            return FileState.MISSING
        if known is None or (known.state is FileState.LISTED and not known.sha256):
            return None
        if known.state is FileState.MISSING and self.now_ms - known.checked_ms >= ASK_AGAIN_MS:
            return None
        return known.state


def make_plan(parts: Iterable[DayPart], known: Knowledge, source: Source = Source.AUTO) -> Plan:
    """Every missing minute of ``parts`` in exactly one task, or counted in ``left``; nothing else is asked for."""
    return at_once(planning(parts, known, source))


def planning(
    parts: Iterable[DayPart], known: Knowledge, source: Source = Source.AUTO
) -> Generator[None, None, Plan]:
    """``make_plan`` in small steps: a month of all symbols takes seconds."""
    by_source: dict[Source | None, list[DayPart]] = {choice: [] for choice in (*Source, None)}
    for part in parts:
        by_source[_choose(part, known, source)].append(part)
        yield
    by_file, by_rest = yield from _shared_out(
        by_source[Source.ZIP], by_source[Source.AUTO], by_source[Source.REST]
    )
    files, requests = [], []
    for task in _files(by_file, known):
        files.append(task)
        yield
    for _, gaps in gaps_by_symbol(_gaps(by_rest)):
        requests += cheapest(gaps)
        yield
    files.sort(key=lambda task: (-task.newest.toordinal(), task.file.path))
    requests.sort(key=lambda request: (-request.to_ms, request.symbol))
    return Plan(tuple(files), tuple(requests), sum(part.missing for part in by_source[None]))


def again(listings: Iterable[Listing], known: Knowledge, since_ms: int, until_ms: int) -> Plan:
    """Every published file of [since_ms, until_ms), whatever is there: what ``--force`` reads once more."""
    parts = []
    for listing in listings:
        start, end = listing.window(since_ms, until_ms)
        if start >= end:
            continue
        day = day_of(start)
        while day_ms(day) < end and _is_published(day, known):
            first, last = listing.window(day_ms(day), day_ms(day) + DAY_MS)
            inside = max(first, since_ms) < min(last, until_ms)
            if first < last and inside:
                gap = Gap(listing.symbol, max(first, since_ms), min(last, until_ms), "force")
                parts.append(DayPart(listing.symbol, listing, day, (last - first) // MINUTE_MS, (gap,)))
            day += timedelta(days=1)
    unread = Knowledge(known.layout, known.now_ms, folders=known.folders)
    files = sorted(_files(parts, unread), key=lambda task: (-task.newest.toordinal(), task.file.path))
    return Plan(tuple(files))


def minutes_of(request: Request) -> int:
    """Minutes that a request asks for, missing or not."""
    return (request.to_ms - request.from_ms) // MINUTE_MS


def _choose(part: DayPart, known: Knowledge, source: Source) -> Source | None:
    """ZIP, REST, AUTO for the cheaper of both, or None when nobody can be asked now."""
    if source is not Source.REST:
        state = known.state(known.file(part.listing, Span.DAILY, part.day))
        published = _is_published(part.day, known) or (source is Source.ZIP and _is_over(part.day, known))
        if published and (
            state is None or (state is FileState.LISTED and _wants_it_again(part, known, source))
        ):
            return Source.ZIP if source is Source.ZIP or _wants_file(part, known) else Source.AUTO
        if source is Source.ZIP:
            return None
    return Source.REST if _may_ask(part, known) else None


def _wants_file(part: DayPart, known: Knowledge) -> bool:
    """Much is missing, or REST had nothing and only the file can say whether it ever was."""
    if part.attempts or (part.symbol, part.day) in known.tried.asked:
        return True
    if 2 * part.missing < part.expected:
        return False
    return sum(weight(minutes_of(request)) for request in cheapest(part.gaps)) > 1


def _wants_it_again(part: DayPart, known: Knowledge, source: Source) -> bool:
    """A file that was read before, where a person says so, much is missing, or REST does not have what was deleted."""
    asked = part.attempts > 0 or (part.symbol, part.day) in known.tried.asked
    return source is Source.ZIP or asked or 2 * part.missing >= part.expected


def _shared_out(
    by_file: list[DayPart], either: list[DayPart], by_rest: list[DayPart]
) -> Generator[None, None, tuple[list[DayPart], list[DayPart]]]:
    """``either`` added to the others, so that all of it together costs the least over REST."""
    offers = [Gap(part.symbol, part.gaps[0].from_ms, part.gaps[-1].to_ms, "offer") for part in either]
    offered, taken = dict(gaps_by_symbol(offers)), set[Gap]()
    for symbol, gaps in gaps_by_symbol(_gaps([*either, *by_rest])):
        taken |= worth_a_file(gaps, offered.get(symbol, ()))
        yield
    chosen = [offer in taken for offer in offers]
    return (
        by_file + [part for part, files in zip(either, chosen, strict=True) if files],
        by_rest + [part for part, files in zip(either, chosen, strict=True) if not files],
    )


def _gaps(parts: Iterable[DayPart]) -> list[Gap]:
    return [gap for part in parts for gap in part.gaps]


def _may_ask(part: DayPart, known: Knowledge) -> bool:
    """Not asked yet, or something is known of the file now that was not known then: REST's word is final after it."""
    key = (part.symbol, part.day)
    if key not in known.tried.asked:
        return True
    return known.tried.asked[key] != known.state(known.file(part.listing, Span.DAILY, part.day))


def _is_over(day: date, known: Knowledge) -> bool:
    return day < day_of(known.now_ms)


def _is_published(day: date, known: Knowledge) -> bool:
    return day <= day_of(known.now_ms) - timedelta(days=REST_DAYS)


def _files(parts: Iterable[DayPart], known: Knowledge) -> Iterator[FileTask]:
    months: dict[tuple[Listing, date], list[DayPart]] = {}
    for part in parts:
        months.setdefault((part.listing, month_of(part.day)), []).append(part)
    for (listing, month), group in months.items():
        group.sort(key=lambda part: part.day)
        if _is_whole(listing, month, group, known):
            yield _task(known.file(listing, Span.MONTHLY, month), group)
            continue
        for part in group:
            yield _task(known.file(listing, Span.DAILY, part.day), [part])


def _is_whole(listing: Listing, month: date, group: list[DayPart], known: Knowledge) -> bool:
    """Whether the monthly file is the way: it is out, was not read yet, and each of its minutes is missing."""
    return (
        known.now_ms >= day_ms(next_month(month)) + MONTHLY_AFTER_MS
        and known.state(known.file(listing, Span.MONTHLY, month)) in (None, FileState.LISTED)
        and all(part.whole for part in group)
        and [part.day for part in group] == listed_days(listing, month)
    )


def _task(file: ArchiveFile, parts: list[DayPart]) -> FileTask:
    gaps = tuple(gap for part in parts for gap in part.gaps)
    return FileTask(file, tuple(part.day for part in parts), gaps)
