"""The list that ``marketd gaps`` prints: gaps with one story told once, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from ...collectors.backfill.estimate import Estimate
from ...model import DAY_MS
from ..health.status_view import age
from .causes import NOBODY, Bounds, Findings, Missing

_NAMES = 4
_INDENT = 4
_SPAN = 36
_DAYS_ALONE = 10
"""From so many days on nobody asks for the hours."""


@dataclass(frozen=True, slots=True)
class Story:
    """The same gap of several symbols, for the same reason and with the same plan."""

    from_ms: int
    to_ms: int
    why: str
    planned: str | None
    hint: str
    symbols: tuple[str, ...]
    minutes: int


def stories(missing: Sequence[Missing]) -> list[Story]:
    """Gaps that differ in nothing but the symbol put together, the newest first; pure.

    What nobody is going to ask for is one story for each reason, whenever it was; it comes last.
    """
    found: dict[tuple[object, ...], list[Missing]] = {}
    for item in missing:
        when = (item.from_ms, item.to_ms) if item.planned or item.hint == NOBODY else ()
        found.setdefault((*when, item.why, item.planned, item.hint), []).append(item)
    return sorted(map(_story, found.values()), key=_order)


def _story(items: Sequence[Missing]) -> Story:
    one = items[0]
    from_ms, to_ms = min(item.from_ms for item in items), max(item.to_ms for item in items)
    symbols = tuple(dict.fromkeys(item.symbol for item in items))
    hint = one.hint.format(day=f"{datetime.fromtimestamp(from_ms / 1000, UTC):%Y-%m-%d}")
    return Story(from_ms, to_ms, one.why, one.planned, hint, symbols, sum(item.minutes for item in items))


def _order(story: Story) -> tuple[object, ...]:
    return (story.planned is None, -story.to_ms, -story.minutes, story.symbols)


def draw(found: Findings, cost: Estimate, bounds: Bounds, stream: TextIO, *, width: int, limit: int) -> None:
    """Write the list, at most ``limit`` entries, and when the planned part will be done."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a Chinese name must not end the command
    console = Console(file=stream, width=width, highlight=False)
    if not found.missing:
        console.print(Text("nothing that is due is missing", style="green"))
        return
    told = stories(found.missing)
    symbols = len({item.symbol for item in found.missing})
    console.print(
        Text(
            f"{found.minutes:,} minutes are missing in {symbols:,} {_plural('symbol', symbols)}", style="bold"
        )
    )
    console.print()
    for story in told[:limit]:
        console.print(_headline(story, bounds))
        if len(story.symbols) > 1:
            console.print(_inside(Text(_names(story.symbols))))
        console.print(_inside(_explanation(story)))
    if more := told[limit:]:
        minutes = sum(story.minutes for story in more)
        console.print(
            f"and {len(more):,} more with {minutes:,} minutes (--limit, --symbol, --from, or --json)"
        )
    console.print()
    for line in _forecast(found, cost, bounds):
        console.print(line)


def _headline(story: Story, bounds: Bounds) -> Text:
    text = Text(f"{_span(story.from_ms, story.to_ms):<{_SPAN}}", style="bold")
    who = story.symbols[0] if len(story.symbols) == 1 else f"{len(story.symbols):,} symbols"
    text.append(
        f"  {story.minutes:,} min of {who}, for {_old(bounds.now_ms - story.from_ms)}", style="not bold"
    )
    return text


def _old(ms: int) -> str:
    return f"{ms // DAY_MS} d" if ms >= _DAYS_ALONE * DAY_MS else age(ms / 1000)


def _names(symbols: Sequence[str]) -> str:
    more = len(symbols) - _NAMES
    return ", ".join(symbols[:_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def _inside(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, _INDENT), expand=False)


def _explanation(story: Story) -> Text:
    text = Text(story.why)
    if story.planned:
        text.append("; planned: ")
        text.append(story.planned, style="green")
    else:
        text.append("; not planned: ")
        text.append(story.hint, style="yellow")
    return text


def _span(from_ms: int, to_ms: int) -> str:
    start, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (from_ms, to_ms))
    if from_ms // DAY_MS == (to_ms - 1) // DAY_MS and to_ms % DAY_MS:
        return f"{start:%Y-%m-%d %H:%M} to {end:%H:%M}"
    if from_ms % DAY_MS == 0 and to_ms % DAY_MS == 0:
        last = datetime.fromtimestamp((to_ms - DAY_MS) / 1000, UTC)
        return f"{start:%Y-%m-%d}" if start == last else f"{start:%Y-%m-%d} to {last:%Y-%m-%d}"
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"


def _forecast(found: Findings, cost: Estimate, bounds: Bounds) -> list[str]:
    rest = found.minutes - found.planned_minutes
    lines = []
    if found.planned_minutes and found.when:
        lines.append(f"planned: {found.planned_minutes:,} minutes, {found.when}")
    elif found.planned_minutes:
        files = f"{cost.files:,} {_plural('file', cost.files)}"
        requests = f"{cost.requests:,} {_plural('request', cost.requests)}"
        done = datetime.fromtimestamp(bounds.now_ms / 1000 + cost.seconds, UTC)
        lines.append(
            f"planned: {found.planned_minutes:,} minutes, {files} and {requests} (weight {cost.weight:,}); at the"
            f" present budget {age(cost.seconds)}, done about {done:%Y-%m-%d %H:%M} UTC while the daemon runs"
        )
        if not found.filled:
            lines.append(
                "no daemon with --backfill runs: until one does, only the last 25 h are filled, by one with --ws;"
                " `marketd backfill` fills now"
            )
    if rest:
        lines.append(f"not planned: {rest:,} minutes")
    return lines


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
