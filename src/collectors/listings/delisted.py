"""Listing intervals of contracts that only the archive's listing still shows. All pure.

A contract that was settled and listed again under its name has moved to a folder ``<SYM>SETTLED``
(``ICPUSDT_SETTLED`` once): the earlier interval of SYM. A folder shows first and last day; the minutes in them show
once the files are imported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime

from ...model import DAY_MS, Listing
from .selection import Selection

_SETTLED = "SETTLED"


def symbol_of(folder: str) -> str:
    """The symbol whose candles a folder holds: ``CTKUSDTSETTLED`` holds ``CTKUSDT``."""
    return folder.removesuffix(_SETTLED).removesuffix("_") if folder.endswith(_SETTLED) else folder


def unknown(folders: Iterable[str], known: Collection[str], selection: Selection) -> list[str]:
    """The folders to look into: not known, and of a contract that we would follow. Dated contracts carry a ``_``."""
    found = []
    for folder in folders:
        symbol = symbol_of(folder)
        ours = symbol.endswith(selection.quote) and "_" not in symbol and selection.admits_name(symbol)
        if ours and folder not in known:
            found.append(folder)
    return sorted(found)


def interval(folder: str, days: Collection[date], listed: Sequence[Listing]) -> Listing | None:
    """From the first file to the last, ended by the next listing of the symbol that begins within; ``None`` without
    files or when nothing is left.

    A listing that begins on the day of the first file is the one the folder is about: it was followed while it lived,
    and its files were moved when the symbol was listed again. It is returned as it is.
    """
    if not days:
        return None
    symbol = symbol_of(folder)
    start_ms, end_ms = midnight(min(days)), midnight(max(days)) + DAY_MS
    for item in listed:
        if item.symbol == symbol and start_ms <= item.onboard_ms < start_ms + DAY_MS:
            return item
    later = [item.onboard_ms for item in listed if item.symbol == symbol and item.onboard_ms > start_ms]
    end_ms = min(end_ms, *later) if later else end_ms
    return Listing(symbol, start_ms, end_ms) if start_ms < end_ms else None


def midnight(day: date) -> int:
    """The UTC midnight at which ``day`` begins, milliseconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
