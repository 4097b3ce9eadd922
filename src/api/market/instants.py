"""Moments in requests: UTC milliseconds, or RFC 3339."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

from ..problems import problem

MOST_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST_MS = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_SECONDS = range(1_000_000_000, 100_000_000_000)
"""From September 2001 on, if they are seconds; as milliseconds all of them lie in the early seventies."""
_HOW = "write UTC milliseconds or RFC 3339, such as 2026-11-01T00:00:00Z"
_NUMBER = re.compile(r"-?[0-9]{1,15}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:)([0-9]{2})(\.[0-9]+)?(?:[Zz]|([+-][0-9]{2}:[0-9]{2}))"
)


def parse_instant(text: object) -> int:
    """UTC ms of ``1793491200000``, ``2026-11-01`` or ``2026-11-01T00:00:00+08:00``.

    A fraction finer than a millisecond is cut off. Raises ``ValueError``, for seconds, too: nothing here is so old.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str):
        raise ValueError(_HOW)  # noqa: TRY004 - the one that pydantic makes a field's error of
    if _NUMBER.fullmatch(text):
        ms = int(text)
        if not _LEAST_MS <= ms <= MOST_MS:
            raise ValueError("outside the years 1 to 9999; milliseconds are meant")
        if ms in _SECONDS:
            raise ValueError(f"milliseconds are meant; {ms} looks like seconds: {ms}000")
    elif found := _TIME.fullmatch(text):
        ms = _of_time(*found.groups())
    elif _DAY.fullmatch(text):
        ms = (date.fromisoformat(text) - date(1970, 1, 1)).days * 86_400_000
    else:
        raise ValueError(_HOW)
    return max(_LEAST_MS, min(ms, MOST_MS))


def _of_time(day: str, minute: str, second: str, fraction: str | None, zone: str | None) -> int:
    # A leap second is the first moment of the next minute here, as it is for every clock that counts milliseconds.
    leap = second == "60"
    at = datetime.fromisoformat(f"{day}T{minute}{'59' if leap else second}+00:00")
    milliseconds = 1_000 if leap else int((fraction or ".0")[1:4].ljust(3, "0"))
    shift = timedelta()
    if zone:
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > 23 or minutes > 59:
            raise ValueError(f"{zone}: no offset from UTC")
        shift = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    return (at - _EPOCH - shift) // timedelta(milliseconds=1) + milliseconds


def utc(ms: int) -> datetime:
    """A moment as the database takes it; what lies outside the years 1 to 9999 is the nearest that does not."""
    return _EPOCH + timedelta(milliseconds=max(_LEAST_MS, min(ms, MOST_MS)))


_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": _LEAST_MS, "maximum": _SECONDS.start - 1},
        {"type": "integer", "minimum": _SECONDS.stop, "maximum": MOST_MS},
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "date"},
    ]
}

Instant = Annotated[int, BeforeValidator(parse_instant), WithJsonSchema(_SCHEMA)]
"""Type of a parameter: UTC ms once it is read."""


def check_order(start: int | None, end: int | None) -> None:
    """Raises ``ProblemError`` 422 for a range that ends before it begins: nothing can be in it, so it is a mistake."""
    if start is not None and end is not None and end < start:
        raise problem(422, detail="it must not be after end", field="query.start")
