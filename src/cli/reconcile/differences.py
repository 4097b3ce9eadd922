"""Where three sources of the same candles disagree; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...model import Candle

_FIELDS = (
    "open", "high", "low", "close", "volume", "quote_volume", "trade_count", "taker_buy_volume",
    "taker_buy_quote_volume",
)  # fmt: skip
MISSING = "row"
"""The field of a minute that some source does not have at all."""

Cell = float | int | str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A value on which the sources do not agree; for the field ``row`` the values are "yes" and None.

    ``archive`` is None as well where the archive has no file to be asked.
    """

    symbol: str
    open_ms: int
    field: str
    stored: Cell
    rest: Cell
    archive: Cell


def differences(
    stored: Iterable[Candle], rest: Iterable[Candle], archive: Sequence[Candle] | None
) -> list[Difference]:
    """What differs, by minute. ``archive`` None means that there is no file, which is no difference."""
    rows = [{candle.key: candle for candle in source} for source in (stored, rest, archive or ())]
    asked = rows if archive is not None else rows[:2]
    found = []
    for key in sorted({key for source in asked for key in source}):
        here = [source.get(key) for source in rows]
        if any(source.get(key) is None for source in asked):
            yes = ["yes" if candle else None for candle in here]
            found.append(Difference(*key, MISSING, *yes))
        present = [candle.values for candle in here if candle]
        for number, field in enumerate(_FIELDS):
            if len({values[number] for values in present}) > 1:
                cells = [candle.values[number] if candle else None for candle in here]
                found.append(Difference(*key, field, *cells))
    return found
