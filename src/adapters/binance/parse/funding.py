"""Settlements of funding as the venue writes them, to values. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NoReturn

from ....errors import BadData
from ....model import Authority, FundingRate
from ....ports.metrics import FileRows
from .. import venue
from .messages import symbol_name
from .metrics import csv_rows

_WHOLE = re.compile(r"[0-9]{1,20}")
_SIGNED = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")
_HEADER = ("calc_time", "funding_interval_hours", "last_funding_rate")
_MAX_INTERVAL_HOURS = 24


def rest_funding(answer: object, *, source: str) -> FileRows[FundingRate]:
    """The settlements of one answer of ``fundingRate``, of one symbol or of all, ordered by symbol and time.

        [{"symbol":"BTCUSDT","fundingTime":1791244800003,"fundingRate":"-0.00002485","markPrice":"85718.55362319",
          "rateType":"Regular"}, ...]          ("markPrice" is "" for old rows; "rateType" since 2026-07)

    The interval is not said here, so it is ``None``. Bad rows are counted. Raises ``BadData`` (``not_list``).
    """
    if not isinstance(answer, list):
        _refuse("not_list", f"fundingRate: not a list but {answer!r:.100}")
    rows: list[FundingRate] = []
    rejected: Counter[str] = Counter()
    for item in answer:
        try:
            rows.append(_rest_row(item, source))
        except BadData as error:
            rejected[error.reason] += 1
    return FileRows(tuple(sorted(rows, key=lambda row: (row.symbol, row.funding_ms))), dict(rejected))


def funding_intervals(answer: object) -> dict[str, int]:
    """The present interval in hours of every symbol that ``fundingInfo`` lists; the others have 8.

        [{"symbol":"BLZUSDT","adjustedFundingRateCap":"0.02500000","adjustedFundingRateFloor":"-0.02500000",
          "fundingIntervalHours":4,"disclaimer":false}, ...]

    Entries that say no interval are left out. Raises ``BadData`` (``not_list``).
    """
    if not isinstance(answer, list):
        _refuse("not_list", f"fundingInfo: not a list but {answer!r:.100}")
    found: dict[str, int] = {}
    for item in answer:
        hours = item.get("fundingIntervalHours") if isinstance(item, Mapping) else None
        symbol = item.get("symbol") if isinstance(item, Mapping) else None
        if isinstance(symbol, str) and type(hours) is int and 1 <= hours <= _MAX_INTERVAL_HOURS:
            found[symbol] = hours
    return found


def archive_month(
    text: str, symbol: str, month: date, *, source: str = "binance_archive"
) -> FileRows[FundingRate]:
    """One monthly fundingRate file, with or without header, in any order.

        calc_time,funding_interval_hours,last_funding_rate
        1704067200000,8,0.00037409

    A row outside the month is left out and counted. Raises ``BadData`` with ``columns`` or ``empty``.
    """
    rows: list[FundingRate] = []
    rejected: Counter[str] = Counter()
    for cells in _table(text):
        try:
            row = _archive_row(cells, symbol, source)
            if _month(row.funding_ms) != (month.year, month.month):
                _refuse("outside_month", f"{row.funding_ms} in the file of {month:%Y-%m}")
        except BadData as error:
            rejected[error.reason] += 1
            continue
        rows.append(row)
    if not rows:
        _refuse("empty", "no usable row")
    return FileRows(tuple(sorted(rows, key=lambda row: row.funding_ms)), dict(rejected))


@dataclass(frozen=True, slots=True)
class _Cells:
    calc_time: str
    hours: str
    rate: str


def _table(text: str) -> list[_Cells]:
    names = list(_HEADER)
    found: list[_Cells] = []
    for number, cells in enumerate(csv_rows(text.removeprefix("\ufeff").split())):
        if number == 0 and not cells[0][:1].isdecimal():
            names = [cell.strip() for cell in cells]
            if not set(_HEADER) <= set(names):
                _refuse("columns", f"these are no columns of fundingRate: {cells!r:.200}")
            continue
        by_name = dict(zip(names, cells, strict=False))
        found.append(_Cells(*(by_name.get(name, "") for name in _HEADER)))
    return found


def _rest_row(item: Any, source: str) -> FundingRate:
    if not isinstance(item, Mapping):
        _refuse("not_row", f"no row: {item!r:.80}")
    price = item.get("markPrice")
    return FundingRate(
        symbol=symbol_name(item.get("symbol")),
        funding_ms=_milliseconds(item.get("fundingTime")),
        rate=_number(item.get("fundingRate")),
        mark_price=_price(price) if price else None,
        interval_hours=None,
        source=source,
        authority=Authority.REST,
    )


def _archive_row(cells: _Cells, symbol: str, source: str) -> FundingRate:
    stamp, hours = _whole(cells.calc_time), _whole(cells.hours)
    if hours is not None and not 1 <= hours <= _MAX_INTERVAL_HOURS:
        _refuse("bad_interval", f"an interval of {hours} h")
    return FundingRate(
        symbol=symbol,
        funding_ms=_milliseconds(stamp),
        rate=_number(cells.rate),
        mark_price=None,
        interval_hours=hours,
        source=source,
        authority=Authority.ARCHIVE,
    )


def _whole(text: str) -> int | None:
    """``None`` for what is no number, or none that a time or an interval can be: int() takes no endless one."""
    return int(text) if _WHOLE.fullmatch(text) else None


def _price(value: object) -> Decimal | None:
    """The venue writes 0 for a price that it does not know."""
    price = _number(value)
    if price < 0:
        _refuse("bad_price", f"a mark price of {price}")
    return price or None


def _number(value: object) -> Decimal:
    if not isinstance(value, str) or not _SIGNED.fullmatch(value):
        _refuse("bad_number", f"no decimal: {value!r:.80}")
    return Decimal(value)


def _milliseconds(value: object) -> int:
    if type(value) is not int or not venue.OLDEST_OPEN_MS <= value <= venue.NEWEST_OPEN_MS:
        _refuse("bad_time", f"no time in milliseconds: {value!r:.40}")
    return value


def _month(ms: int) -> tuple[int, int]:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.year, moment.month


def _refuse(reason: str, detail: str) -> NoReturn:
    raise BadData(detail, reason=reason)
