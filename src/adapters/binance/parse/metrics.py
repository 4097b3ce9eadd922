"""Futures metrics as the venue writes them, REST answers and archive days, to values that carry END labels. Pure.

Whatever the source says, ``FuturesMetric.end_ms`` is the end of the 5 min period for every column. Four of the five
REST series are end-labelled, the taker ratio is start-labelled; an archive day is either, told by its content.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NoReturn

from ....errors import BadData
from ....model import DAY_MS, FIVE_MINUTES_MS, METRIC_COLUMNS, Authority, FuturesMetric
from ....ports.metrics import FileRows, MetricSeries
from .. import venue

_DECIMAL = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")
_LABEL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")

_HEADER = ("create_time", "symbol", *METRIC_COLUMNS)

_FIELDS: Mapping[MetricSeries, Mapping[str, str]] = {
    MetricSeries.OPEN_INTEREST: {
        "sum_open_interest": "sumOpenInterest",
        "sum_open_interest_value": "sumOpenInterestValue",
    },
    MetricSeries.TOP_ACCOUNTS: {"count_toptrader_long_short_ratio": "longShortRatio"},
    MetricSeries.TOP_POSITIONS: {"sum_toptrader_long_short_ratio": "longShortRatio"},
    MetricSeries.ACCOUNTS: {"count_long_short_ratio": "longShortRatio"},
    MetricSeries.TAKER: {"sum_taker_long_short_vol_ratio": "buySellRatio"},
}
START_LABELLED = frozenset({MetricSeries.TAKER})
"""Series whose REST timestamp is the start of the period."""


def rest_metrics(
    series: MetricSeries, symbol: str, answer: object, *, source: str, asked_ms: int
) -> FileRows[FuturesMetric]:
    """The periods of one answer that were over at ``asked_ms``, in order, each once; bad rows are counted by reason.

        openInterestHist             [{"symbol":"BTCUSDT","sumOpenInterest":"94731.04600000",
                                       "sumOpenInterestValue":"8157280897.95540000",
                                       "CMCCirculatingSupply":"20094037.00000000","timestamp":1791284400000}, ...]
        topLongShortAccountRatio,    [{"symbol":"BTCUSDT","longAccount":"0.6276","longShortRatio":"1.6855",
        topLongShortPositionRatio,     "shortAccount":"0.3724","timestamp":1791280800000}, ...]
        globalLongShortAccountRatio
        takerlongshortRatio          [{"buySellRatio":"0.9752","sellVol":"157.7690","buyVol":"153.8640",
                                       "timestamp":1791283500000}, ...]   (no symbol; the START of the period)

    Newest first or last; ``timestamp`` is an int or, from older servers, a quoted one; unknown keys are left alone.
    Raises ``BadData`` (``not_list``) when the answer is no list.
    """
    if not isinstance(answer, list):
        _refuse("not_list", f"{series.value}: not a list but {answer!r:.100}")
    found: dict[int, FuturesMetric] = {}
    rejected: Counter[str] = Counter()
    for item in answer:
        try:
            row = _rest_row(series, symbol, item, source)
        except BadData as error:
            rejected[error.reason] += 1
            continue
        if row.end_ms > asked_ms:
            continue  # the period is not over, its value still moves
        if row.end_ms in found:
            rejected["duplicate"] += 1
        found[row.end_ms] = row
    return FileRows(tuple(found[end_ms] for end_ms in sorted(found)), dict(rejected))


def archive_day(
    text: str, symbol: str, day: date, *, folder_symbol: str = "", source: str = "binance_archive"
) -> FileRows[FuturesMetric]:
    """One daily metrics file, rows unsorted, duplicated, blank as they may be.

        create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,...
        2023-12-12 19:30:00,BTCUSDT,78890.464,3240036003.743675,1.23500255,1.3705178,1.31632964,0.59219416

    A file with the label 00:00 of the next day and none of its own 00:00 is end-labelled, the other way round it is
    start-labelled and every column moves by 5 min; anything else cannot be told and raises ``BadData`` (``labels``),
    as does a label outside the day. Rows that repeat a label are all returned: the store merges them by column.
    Raises ``BadData`` with ``columns`` or ``empty`` for a file that is none. A row of another symbol, off the 5 min
    grid or with a bad number is left out and counted; ``folder_symbol`` (``CTKUSDTSETTLED``) counts as ours.
    """
    start_ms = _midnight(day)
    rejected: Counter[str] = Counter()
    labelled: list[tuple[int, dict[str, Decimal | None]]] = []
    for cells in _table(text):
        try:
            labelled.append(_archive_row(cells, (symbol, folder_symbol)))
        except BadData as error:
            rejected[error.reason] += 1
    shift_ms = _shift([label for label, _ in labelled], start_ms)
    repeated = len(labelled) - len({label for label, _ in labelled})
    if repeated:
        rejected["duplicate"] += repeated
    rows = [
        FuturesMetric.of(symbol, label + shift_ms, columns, source, Authority.ARCHIVE)
        for label, columns in sorted(labelled, key=lambda item: item[0])
    ]
    return FileRows(tuple(rows), dict(rejected), start_labelled=shift_ms > 0)


def _rest_row(series: MetricSeries, symbol: str, item: object, source: str) -> FuturesMetric:
    if not isinstance(item, Mapping):
        _refuse("not_row", f"no row: {item!r:.80}")
    if item.get("symbol", symbol) != symbol:
        _refuse("other_symbol", f"{symbol} was asked, {item.get('symbol')!r:.80} came")
    stamp = _timestamp(item.get("timestamp"))
    end_ms = stamp + FIVE_MINUTES_MS if series in START_LABELLED else stamp
    columns = {column: decimal(item.get(field)) for column, field in _FIELDS[series].items()}
    return FuturesMetric.of(symbol, end_ms, columns, source, Authority.REST)


def _timestamp(value: object) -> int:
    """Milliseconds on the 5 min grid, as int or as the quoted int of older servers."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 16:
        value = int(value)
    if type(value) is not int or not venue.OLDEST_OPEN_MS <= value <= venue.NEWEST_OPEN_MS:
        _refuse("bad_time", f"no time in milliseconds: {value!r:.40}")
    if value % FIVE_MINUTES_MS:
        _refuse("off_grid", f"{value} is no multiple of 5 min")
    return value


def decimal(value: object) -> Decimal | None:
    """A decimal text as it stands; blank is ``None``, never 0. Raises ``BadData`` for all that is no number."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        _refuse("bad_number", f"no decimal: {value!r:.80}")
    return Decimal(value)


def csv_rows(lines: Iterable[str]) -> Iterator[list[str]]:
    """The cells of each line. Raises ``BadData`` (``columns``) for a quote that is never closed in a long text."""
    try:
        yield from csv.reader(lines)
    except csv.Error as error:
        _refuse("columns", f"no CSV: {error}")


def _table(text: str) -> Iterable[dict[str, str]]:
    """The rows by column name; the order is the header's, or the usual one in a file without a header."""
    lines = csv_rows(text.removeprefix("\ufeff").splitlines())
    names: Sequence[str] = _HEADER
    seen = False
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if not seen and not cells[0][:1].isdecimal():
            names = [cell.strip() for cell in cells]
            if not set(_HEADER) <= set(names):
                _refuse("columns", f"these are no columns of metrics: {cells!r:.200}")
            seen = True
            continue
        seen = True
        yield dict(zip(names, (cell.strip() for cell in cells), strict=False))


def _archive_row(cells: Mapping[str, str], names: Sequence[str]) -> tuple[int, dict[str, Decimal | None]]:
    if not cells.keys() >= set(_HEADER):
        _refuse("short_row", f"a row of {len(cells)} cells")
    if cells["symbol"] not in names:
        _refuse("other_symbol", f"{cells['symbol']!r:.80} in a file of {names[0]}")
    columns = {column: decimal(cells[column]) for column in METRIC_COLUMNS}
    return _label(cells["create_time"]), columns


def _label(text: str) -> int:
    if not _LABEL.fullmatch(text):
        _refuse("bad_time", f"no time: {text!r:.80}")
    try:
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        _refuse("bad_time", f"no time: {text!r}")
    ms = int(moment.timestamp()) * 1000
    if ms % FIVE_MINUTES_MS:
        _refuse("off_grid", f"{text} is no multiple of 5 min")
    return ms


def _shift(labels: Sequence[int], start_ms: int) -> int:
    """What is added to a label to make it the end of its period. Raises ``BadData`` where that cannot be told."""
    if not labels:
        _refuse("empty", "no usable row")
    if min(labels) < start_ms or max(labels) > start_ms + DAY_MS:
        _refuse("labels", "labels outside the day of the file")
    has_start, has_end = start_ms in labels, start_ms + DAY_MS in labels
    if has_start == has_end:
        both = "both midnights" if has_start else "neither midnight"
        _refuse("labels", f"{both} among the labels: start or end of the periods cannot be told")
    return FIVE_MINUTES_MS if has_start else 0


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def _refuse(reason: str, detail: str) -> NoReturn:
    raise BadData(detail, reason=reason)
