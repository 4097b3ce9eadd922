"""Keys of the archive: ``data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2026-11-20.zip`` and back, pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ..market.past import DAY_MS

ROOT, SPOT_ROOT = "data/futures/um/", "data/spot/"
CHECKSUM = ".CHECKSUM"
PLACES = (
    ("daily", "aggTrades"), ("daily", "klines"), ("daily", "metrics"),
    ("monthly", "aggTrades"), ("monthly", "fundingRate"), ("monthly", "klines"),
)  # fmt: skip
"""What there is, in the order of the keys; the real archive has no monthly metrics and no daily funding. Of the spot
market there are trades, which are not listed."""
_KEY = re.compile(
    r"data/(?P<market>futures/um|spot)/(?P<span>daily|monthly)/(?P<kind>klines|metrics|fundingRate|aggTrades)/"
    r"(?P<folder>[^/]+)/(?:1m/)?(?P<name>[^/]+)-(?P<word>1m|metrics|fundingRate|aggTrades)-"
    r"(?P<label>\d{4}-\d{2}(?:-\d{2})?)\.zip"
)


@dataclass(frozen=True, slots=True)
class FileName:
    """One archive file. ``folder`` is a symbol or ``<SYMBOL>SETTLED``; ``label`` a day or a month."""

    span: str
    kind: str
    folder: str
    label: str
    spot: bool = False

    @property
    def key(self) -> str:
        prefix = folder_prefix(self.span, self.kind, self.folder, spot=self.spot)
        return f"{prefix}{self.stem}.zip"

    @property
    def stem(self) -> str:
        """What the ZIP and its member are called, without ending."""
        return f"{self.folder}-{'1m' if self.kind == 'klines' else self.kind}-{self.label}"

    @property
    def first_ms(self) -> int:
        """The first moment of its day or month, UTC milliseconds."""
        return _moment(self._first_day)

    @property
    def end_ms(self) -> int:
        """The first moment after it."""
        return _moment(following(self.span, self._first_day))

    @property
    def _first_day(self) -> date:
        return date.fromisoformat(self.label if self.span == "daily" else f"{self.label}-01")


def folder_prefix(span: str, kind: str, folder: str, *, spot: bool = False) -> str:
    """The folder of one contract's files, with its slash."""
    return f"{SPOT_ROOT if spot else ROOT}{span}/{kind}/{folder}/{'1m/' if kind == 'klines' else ''}"


def parse(key: str) -> FileName | None:
    """The file of a key without ``.CHECKSUM``; None for what the archive cannot have."""
    found = _KEY.fullmatch(key)
    if found is None or (found["span"], found["kind"]) not in PLACES:
        return None
    spot = found["market"] == "spot"
    if spot and found["kind"] != "aggTrades":
        return None
    name = FileName(found["span"], found["kind"], found["folder"], found["label"], spot)
    try:
        return name if name.end_ms and name.key == key else None
    except ValueError:  # 2026-02-30
        return None


def labels(span: str, first_ms: int, end_ms: int) -> list[str]:
    """The days or months that [first_ms, end_ms) touches."""
    day = datetime.fromtimestamp(first_ms // 1000, UTC).date()
    day = day if span == "daily" else day.replace(day=1)
    found = []
    while _moment(day) < end_ms:
        found.append(day.isoformat() if span == "daily" else f"{day:%Y-%m}")
        day = following(span, day)
    return found


def following(span: str, day: date) -> date:
    """The next day, or the first of the next month."""
    return (
        day + timedelta(days=1)
        if span == "daily"
        else (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    )


def _moment(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS
