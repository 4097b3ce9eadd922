"""A bounded set of symbol-minutes, kept as intervals; it may grow coarse, it never forgets a minute."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from ...model import MINUTE_MS, Gap

_Span = tuple[int, int]


class IntervalSet:
    """Minutes per symbol as merged half-open spans [from_ms, to_ms).

    Holds at most ``limit`` spans, or one per symbol if there are more symbols than that. Above it, spans of one
    symbol that lie close together are joined over the minutes between them, so the set only ever says too much.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._spans: dict[str, list[_Span]] = {}
        self._count = 0

    def __len__(self) -> int:
        """The number of spans."""
        return self._count

    def __contains__(self, key: tuple[str, int]) -> bool:
        symbol, open_ms = key
        spans = self._spans.get(symbol, [])
        index = bisect_right(spans, open_ms, key=_start) - 1
        return index >= 0 and open_ms < spans[index][1]

    @property
    def minutes(self) -> int:
        """All minutes covered, including those that joining added."""
        return sum(to - start for spans in self._spans.values() for start, to in spans) // MINUTE_MS

    def add(self, symbol: str, from_ms: int, to_ms: int | None = None) -> None:
        """Add [from_ms, to_ms), one minute if ``to_ms`` is left out; touching spans become one."""
        spans = self._spans.setdefault(symbol, [])
        to_ms = from_ms + MINUTE_MS if to_ms is None else to_ms
        first = bisect_left(spans, from_ms, key=_end)
        last = bisect_right(spans, to_ms, key=_start)
        touched = spans[first:last]
        if touched:
            from_ms, to_ms = min(from_ms, touched[0][0]), max(to_ms, touched[-1][1])
        spans[first:last] = [(from_ms, to_ms)]
        self._count += 1 - len(touched)
        if self._count > self._limit:
            self._coarsen()

    def add_gap(self, gap: Gap) -> None:
        self.add(gap.symbol, gap.from_ms, gap.to_ms)

    def gaps(self, reason: str) -> list[Gap]:
        """The spans as gaps, ordered by symbol and time."""
        return [
            Gap(symbol, start, to, reason)
            for symbol in sorted(self._spans)
            for start, to in self._spans[symbol]
        ]

    def clear(self) -> None:
        self._spans.clear()
        self._count = 0

    def _coarsen(self) -> None:
        # Down to half the limit, so that the next additions do not pay for it again.
        distance = MINUTE_MS
        while self._count > max(self._limit // 2, len(self._spans)):
            distance *= 2
            for symbol, spans in self._spans.items():
                self._spans[symbol] = _join(spans, distance)
            self._count = sum(map(len, self._spans.values()))


def _start(span: _Span) -> int:
    return span[0]


def _end(span: _Span) -> int:
    return span[1]


def _join(spans: list[_Span], distance: int) -> list[_Span]:
    joined = spans[:1]
    for start, to in spans[1:]:
        if start - joined[-1][1] <= distance:
            joined[-1] = (joined[-1][0], to)
        else:
            joined.append((start, to))
    return joined
