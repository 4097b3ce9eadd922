"""Arithmetic of missing minutes: clip, subtract, and the fewest requests that ask for them. All pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...model import MINUTE_MS, Gap

MAX_MINUTES = 499
"""Minutes of one request: the most rows for the weight (2)."""
_CHEAP_MINUTES = 99
"""Minutes of a request of weight 1; gaps that lie this close together are asked for in one."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Request:
    """Ask for [from_ms, to_ms); only the minutes inside ``wanted`` are missing."""

    symbol: str
    from_ms: int
    to_ms: int
    wanted: tuple[Span, ...]

    def minutes(self) -> Iterator[int]:
        """The missing minutes, in order."""
        for start, to in self.wanted:
            yield from range(start, to, MINUTE_MS)


def clip(gaps: Iterable[Gap], windows: Mapping[str, Sequence[Span]]) -> list[Gap]:
    """The parts of ``gaps`` that lie inside the windows of their symbol."""
    clipped = []
    for gap in gaps:
        for start, to in windows.get(gap.symbol, ()):
            if max(gap.from_ms, start) < min(gap.to_ms, to):
                clipped.append(Gap(gap.symbol, max(gap.from_ms, start), min(gap.to_ms, to), gap.reason))
    return clipped


def subtract(gaps: Iterable[Gap], without: Collection[tuple[str, int]]) -> list[Gap]:
    """``gaps`` less the given (symbol, minute) keys; costs time by the keys, not by the minutes in the gaps."""
    by_symbol: dict[str, list[int]] = {}
    for symbol, open_ms in without:
        by_symbol.setdefault(symbol, []).append(open_ms)
    for minutes in by_symbol.values():
        minutes.sort()
    return [piece for gap in gaps for piece in _pieces(gap, by_symbol.get(gap.symbol, []))]


def _pieces(gap: Gap, without: list[int]) -> Iterator[Gap]:
    start = gap.from_ms
    for open_ms in without:
        if not start <= open_ms < gap.to_ms:
            continue
        if start < open_ms:
            yield Gap(gap.symbol, start, open_ms, gap.reason)
        start = open_ms + MINUTE_MS
    if start < gap.to_ms:
        yield Gap(gap.symbol, start, gap.to_ms, gap.reason)


def plan(gaps: Iterable[Gap]) -> list[Request]:
    """The requests that cover all gaps, newest first: near gaps share one, long ones are cut."""
    requests: list[Request] = []
    group: list[Gap] = []
    for gap in sorted(gaps):
        near = (
            group
            and gap.symbol == group[0].symbol
            and gap.to_ms - group[0].from_ms <= _CHEAP_MINUTES * MINUTE_MS
        )
        if group and not near:
            requests += _requests(group)
            group = []
        group.append(gap)
    if group:
        requests += _requests(group)
    return sorted(requests, key=lambda request: (-request.to_ms, request.symbol))


def _requests(group: list[Gap]) -> Iterator[Request]:
    first = group[0]
    if len(group) > 1:
        yield Request(
            first.symbol, first.from_ms, group[-1].to_ms, tuple((gap.from_ms, gap.to_ms) for gap in group)
        )
        return
    step = MAX_MINUTES * MINUTE_MS
    for start in range(first.from_ms, first.to_ms, step):
        to = min(start + step, first.to_ms)
        yield Request(first.symbol, start, to, ((start, to),))
