"""What a filling is about: which symbols, from when to when, and how; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ...errors import ConfigError
from ...model import DAY_MS, Listing
from ...ports import Priority
from ..listings.selection import Selection
from .days import day_ms, day_of, month_of
from .plan import Source

UNSETTLED_MS = 5 * 60_000
"""A minute younger than this is still on its way by itself."""
_SLICE_MONTHS = 3
"""Months planned at a time: some 70,000 symbol-days of the whole market, and no more memory than that."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Minutes of [since_ms, until_ms) of the symbols that ``selection`` admits and the globs ``only`` match.

    ``source``, ``force`` and ``keep`` are the options of ``marketd backfill``. ``patient``: a day that was looked at
    in vain is left alone until its next look is due. ``priority`` is that of the requests.
    """

    selection: Selection
    since_ms: int
    until_ms: int
    only: tuple[str, ...] = ("*",)
    source: Source = Source.AUTO
    force: bool = False
    keep: bool = False
    patient: bool = False
    priority: Priority = Priority.HISTORY

    def admits_name(self, symbol: str) -> bool:
        return self.selection.admits_name(symbol) and Selection(include=self.only).admits_name(symbol)

    def admits(self, listing: Listing) -> bool:
        """Whether some minute of the listing is meant."""
        since, until = listing.window(self.since_ms, self.until_ms)
        return since < until

    def refuse_unknown(self, listings: Iterable[Listing]) -> None:
        """Raises ``ConfigError`` for a glob that means no symbol: nothing is missing of it, and that must not look as
        if everything were there. Where no listing is known yet, each may become known."""
        known = {item.symbol for item in listings}
        selected = [symbol for symbol in known if self.selection.admits_name(symbol)]
        unknown = [glob for glob in self.only if not _means_any(glob, selected)]
        if known and unknown and self.only != ("*",):
            raise ConfigError(
                f"symbols {', '.join(unknown)}: no symbol that is known and selected is called so;"
                " `marketd symbols --listings` lists those known, SYMBOLS and EXCLUDE_SYMBOLS select"
            )

    def slices(self) -> Iterator[tuple[int, int]]:
        """[since_ms, until_ms) cut at beginnings of months, the newest piece first."""
        until = self.until_ms
        while until > self.since_ms:
            month = month_of(day_of(until - 1))
            for _ in range(_SLICE_MONTHS - 1):
                month = month_of(month - timedelta(days=1))
            since = max(day_ms(month), self.since_ms)
            yield since, until
            until = since


def _means_any(glob: str, symbols: Iterable[str]) -> bool:
    one = Selection(include=(glob,))
    return any(one.admits_name(symbol) for symbol in symbols)


def fill_since(backfill_from: str, now_ms: int) -> int:
    """``BACKFILL_FROM`` as the first instant to fill, a midnight: "30d", "2024-01-01" or "listing" (0)."""
    if backfill_from == "listing":
        return 0
    if backfill_from.endswith("d"):
        return max(now_ms // DAY_MS - int(backfill_from[:-1]), 0) * DAY_MS
    return day_ms(date.fromisoformat(backfill_from))


def parse_moment(text: str, option: str) -> int:
    """A day (``2024-01-01``) or a UTC time (``2024-01-01T12:30``) in milliseconds. Raises ``ConfigError``."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(
            f"{option} {text}: write it as a day such as 2024-01-01, or a time such as 2024-01-01T12:30 (UTC)"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
