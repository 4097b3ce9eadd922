"""What is missing, exactly: the days that lack rows out of the ledger, and the minutes out of the rows themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from ...model import DAY_MS, MINUTE_MS, Dataset, Listing
from ..parts import Parts
from .instants import utc
from .ledger_days import day_of, start_of
from .waiting import STEP_MS, Request, first_not_due, read_listings, read_requests

CURSOR = r"^[0-9]{1,18}-.{0,64}$"
"""What was told last: the number of a day since 1970 and a symbol, or that of a gap of trades and nothing."""
_SEARCHED = 100
"""Days whose rows are looked through at once: a tenth of a second."""

Gap = dict[str, Any]
Answer = tuple[list[Gap], str | None]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Day:
    """A line of the ledger that lacks rows. ``partly``: it has some, or knows why not."""

    day: date
    symbol: str
    lacking: int
    partly: bool
    dirty: bool
    attempts: int
    next_look_ms: int | None

    @property
    def start_ms(self) -> int:
        return start_of(self.day)


class _Unusable(NamedTuple):
    """An archive file that is no use: of a day or a month, its path below the archive's root, and what is wrong."""

    span: str
    path: str
    detail: str


async def find_gaps(
    given: Parts, dataset: Dataset, symbol: str | None, span: Span, limit: int, cursor: str | None
) -> Answer:
    """Gaps of whole days until there are ``limit`` of them, and the cursor of what follows."""
    until_ms = min(span[1], first_not_due(dataset, given.clock.now_ms()))
    after = date.min, ""
    if cursor is not None:
        number, _, name = cursor.partition("-")
        after = day_of(int(number) * DAY_MS), name
    found: list[Gap] = []
    while len(found) < limit:
        days = [
            _Day(*row)
            for row in await given.reader.rows(
                "api_coverage.open_days",
                exchange=given.exchange,
                dataset=dataset.value,
                symbol=symbol,
                first=day_of(span[0]),
                last=day_of(until_ms - 1),
                after_day=after[0],
                after_symbol=after[1],
                limit=min(limit, _SEARCHED),
            )
        ]
        if days:
            after = days[-1].day, days[-1].symbol
            found += await _gaps_of(given, dataset, days, (span[0], until_ms))
        if len(days) < min(limit, _SEARCHED):
            return found, None
    return found, f"{start_of(after[0]) // DAY_MS}-{after[1]}"


async def find_trade_gaps(
    given: Parts, dataset: Dataset, symbol: str | None, span: Span, limit: int, cursor: str | None
) -> Answer:
    """Ids of trades that are not stored, as times; see ``find_gaps``."""
    rows = await given.reader.records(
        "api_coverage.trade_gaps",
        **{
            "exchange": given.exchange,
            "symbol": symbol,
            "from": utc(span[0]),
            "to": utc(span[1]),
            "after_id": 0 if cursor is None else int(cursor.partition("-")[0]),
            "limit": limit,
        },
    )
    found = [
        {
            "symbol": row["symbol"],
            "start_ms": row["after_ms"],
            "end_ms": row["before_ms"],
            "minutes": -(-(row["before_ms"] - row["after_ms"]) // MINUTE_MS),
            "state": "missing" if row["state"] == "open" else row["state"],
            "reason": f"{row['trades']} trades, {_asked(row['attempts'])}",
            "quarantined": None,
            "next_look_ms": row["next_look_ms"],
        }
        for row in rows
    ]
    return found, f"{rows[-1]['gap_id']}-" if len(rows) == limit else None


async def _gaps_of(given: Parts, dataset: Dataset, days: Sequence[_Day], span: Span) -> list[Gap]:
    listings = await read_listings(given, sorted({day.symbol for day in days}))
    requests = await read_requests(given) if dataset is Dataset.CANDLES else []
    losses = await _losses(given, days) if dataset is Dataset.CANDLES else {}
    files = await _quarantined(given, dataset, days)
    holes = await _holes(given, dataset, days, listings, span)
    found = []
    for day in days:
        for start_ms, end_ms in holes.get((day.symbol, day.day), ()):
            minutes = (end_ms - start_ms) // MINUTE_MS
            file = files.get((day.symbol, day.day))
            lost = [
                why for begin, end, why in losses.get(day.symbol, ()) if begin < end_ms and start_ms < end
            ]
            found.append(
                {
                    "symbol": day.symbol,
                    "start_ms": start_ms,
                    "end_ms": end_ms,
                    "minutes": minutes,
                    "state": "planned" if _is_planned(day, requests) else "missing",
                    "reason": _reason(day, lost, file),
                    "quarantined": file and file.path,
                    "next_look_ms": day.next_look_ms,
                }
            )
    return found


async def _holes(
    given: Parts, dataset: Dataset, days: Sequence[_Day], listings: Mapping[str, list[Listing]], span: Span
) -> dict[tuple[str, date], list[Span]]:
    """By symbol and day. Where nothing is stored, or nobody knows which rows lack, it is all that is listed."""
    step = STEP_MS.get(dataset)
    found: dict[tuple[str, date], list[Span]] = {}
    looked: list[tuple[str, int, int]] = []
    for day in days:
        for low, high in _listed(day, listings.get(day.symbol, ()), span, step or MINUTE_MS):
            if step is None or not (day.partly or day.dirty):
                found.setdefault((day.symbol, day.day), []).append((low, high))
            else:
                looked.append((day.symbol, low, high))
    if looked:
        for symbol, low, high in await _look(given, dataset, looked):
            found.setdefault((symbol, day_of(low)), []).append((low, high))
    return found


def _listed(day: _Day, listings: Sequence[Listing], span: Span, step: int) -> Iterator[Span]:
    """The whole periods of a day inside listings and the span."""
    for listing in listings:
        low, high = listing.window(max(day.start_ms, span[0]), min(day.start_ms + DAY_MS, span[1]))
        low, high = -(-low // step) * step, high // step * step
        if low < high:
            yield low, high


async def _look(
    given: Parts, dataset: Dataset, spans: Sequence[tuple[str, int, int]]
) -> list[tuple[Any, ...]]:
    values = {
        "exchange": given.exchange,
        "symbols": [symbol for symbol, _, _ in spans],
        "from": [utc(low) for _, low, _ in spans],
        "to": [utc(high) for _, _, high in spans],
        "earliest": utc(min(low for _, low, _ in spans)),
        "latest": utc(max(high for _, _, high in spans)),
    }
    if dataset is Dataset.CANDLES:
        return await given.reader.rows("coverage.candle_holes", **values)
    return await given.reader.rows("coverage.metric_holes", **values)


async def _losses(given: Parts, days: Sequence[_Day]) -> dict[str, list[tuple[int, int, str]]]:
    """Minutes that were received and lost from a full buffer, by symbol."""
    found: dict[str, list[tuple[int, int, str]]] = {}
    for symbol, from_ms, to_ms, why in await given.reader.rows(
        "sight.losses",
        exchange=given.exchange,
        symbols=sorted({day.symbol for day in days}),
        first=min(day.day for day in days),
        last=min(max(day.day for day in days), date.max - timedelta(days=1)),
    ):
        found.setdefault(symbol, []).append((from_ms, to_ms, why))
    return found


async def _quarantined(
    given: Parts, dataset: Dataset, days: Sequence[_Day]
) -> dict[tuple[str, date], _Unusable]:
    """The unusable archive file of a symbol's day, where there is one."""
    rows = await given.reader.rows(
        "api_coverage.quarantined",
        exchange=given.exchange,
        dataset=dataset.value,
        symbols=[day.symbol for day in days],
        days=[day.day for day in days],
    )
    return {(symbol, day): _Unusable(*file) for symbol, day, *file in rows}


def _is_planned(day: _Day, requests: Sequence[Request]) -> bool:
    return any(
        request.from_ms < day.start_ms + DAY_MS and day.start_ms < request.to_ms and request.means(day.symbol)
        for request in requests
    )


def _reason(day: _Day, lost: Sequence[str], file: _Unusable | None) -> str:
    """The nearest cause first, then what was tried."""
    reasons = [f"lost from the buffer ({lost[0]})"] if lost else []
    if day.dirty:
        reasons.append("rows were deleted")
    if file is not None:
        reasons.append(
            f"{file.span} file quarantined{f': {file.detail}' if file.detail else ''} ({file.path})"
        )
    return ", ".join([*reasons, _asked(day.attempts)])


def _asked(attempts: int) -> str:
    if not attempts:
        return "never asked"
    return "asked once" if attempts == 1 else f"asked {attempts} times"
