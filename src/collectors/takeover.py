"""Takes over another program's tables: month by month, row by row judged, through the guarded merge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from math import isfinite
from typing import Generic, Protocol, TypeVar

from ..errors import BadData
from ..model import (
    DAY_MS,
    FIVE_MINUTES_MS,
    METRIC_COLUMNS,
    MINUTE_MS,
    Authority,
    Candle,
    FuturesMetric,
    Listing,
    WriteResult,
)
from ..ports import ForeignRow, ForeignTable, TakeoverNotes

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

SOURCE = "tradecat"
"""The word in the column ``source`` of rows taken over."""
_UNLISTED = "outside_listing"


@dataclass(slots=True)
class Progress:
    """What was done so far. ``rows_read`` is inserted + replaced + unchanged + refused, at any time."""

    symbols: int = 0
    symbols_done: int = 0
    months_done: int = 0
    months_known: int = 0
    rows_read: int = 0
    inserted: int = 0
    replaced: int = 0
    unchanged: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    """The first refused row of each reason, as text."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Minutes of [since_ms, until_ms) of the symbols that ``admits`` says yes to."""

    admits: Callable[[str], bool]
    since_ms: int
    until_ms: int


class Judge(Protocol[T_co]):
    """Makes a value of a row, or says in a short bounded word why not."""

    def __call__(self, symbol: str, row: ForeignRow, listings: Sequence[Listing]) -> T_co | str: ...


class Takeover(Generic[T]):
    """One run over one table; ``on_progress`` is told after each batch.

    ``judge`` makes a value of a row or says why not, ``write`` stores values in one transaction. Stopped at any point
    it goes on with the next month that is not noted as done. A month that is noted was over when it was read; the
    month that a symbol's rows end in is always read again, and so is one with rows outside of the listings known.
    """

    def __init__(
        self,
        table: ForeignTable,
        judge: Judge[T],
        write: Callable[[Sequence[T]], Awaitable[WriteResult]],
        notes: TakeoverNotes,
        listings: Mapping[str, Sequence[Listing]],
    ) -> None:
        self._table = table
        self._judge = judge
        self._write = write
        self._notes = notes
        self._listings = listings
        self.progress = Progress()
        self.on_progress: Callable[[Progress], None] = _nobody_looks

    async def run(self, scope: Scope) -> Progress:
        """Take over what ``scope`` says. Raises ``Retryable`` or ``Misconfigured``; the same call then goes on."""
        symbols = [symbol for symbol in await self._table.symbols() if scope.admits(symbol)]
        self.progress.symbols = len(symbols)
        done = await self._notes.done()
        for symbol in symbols:
            await self._symbol(symbol, scope, done)
            self.progress.symbols_done += 1
            self.on_progress(self.progress)
        return self.progress

    async def _symbol(self, symbol: str, scope: Scope, done: set[tuple[str, date]]) -> None:
        span = await self._table.span(symbol)
        if span is None:
            return
        first, last = max(span[0], scope.since_ms), min(span[1] + 1, scope.until_ms)
        for month, start, end in months(first, last):
            if (symbol, month) in done:
                self.progress.months_known += 1
                continue
            before, unlisted = self._counts(), self.progress.refused[_UNLISTED]
            await self._month(symbol, max(start, first), min(end, last))
            self.progress.months_done += 1
            # A contract that was delisted may become known later; its rows are then no longer refused.
            judged = self.progress.refused[_UNLISTED] == unlisted
            if judged and start >= scope.since_ms and end <= min(span[1], scope.until_ms):
                read, inserted, refused = (
                    now - then for now, then in zip(self._counts(), before, strict=True)
                )
                await self._notes.note(symbol, month, rows_read=read, inserted=inserted, refused=refused)

    async def _month(self, symbol: str, since_ms: int, until_ms: int) -> None:
        listings = self._listings.get(symbol, ())
        # Closed at once when writing fails, or the other database would keep a transaction open for us.
        async with aclosing(self._table.rows(symbol, since_ms, until_ms)) as batches:
            async for rows in batches:
                await self._store(self._judged(symbol, rows, listings))
                self.on_progress(self.progress)

    def _judged(self, symbol: str, rows: Sequence[ForeignRow], listings: Sequence[Listing]) -> list[T]:
        values: list[T] = []
        for row in rows:
            judged = self._judge(symbol, row, listings)
            if isinstance(judged, str):
                self._refuse(judged, symbol, row)
            else:
                values.append(judged)
        return values

    async def _store(self, values: Sequence[T]) -> None:
        """Write them; a batch with a row the database refuses is halved until that row stands alone."""
        todo = [values] if values else []
        while todo:
            part = todo.pop()
            try:
                result = await self._write(part)
            except BadData as error:
                if len(part) == 1:
                    self._refuse(error.reason, "", (part[0],))
                else:
                    middle = len(part) // 2
                    todo += [part[middle:], part[:middle]]
            else:
                self.progress.rows_read += result.rows
                self.progress.inserted += result.inserted
                self.progress.replaced += result.replaced
                self.progress.unchanged += result.unchanged

    def _refuse(self, reason: str, symbol: str, row: Sequence[object]) -> None:
        self.progress.rows_read += 1
        self.progress.refused[reason] += 1
        self.progress.examples.setdefault(reason, f"{symbol} {', '.join(map(str, row))}"[:200])

    def _counts(self) -> tuple[int, int, int]:
        return self.progress.rows_read, self.progress.inserted, self.progress.refused.total()


def _nobody_looks(_: Progress) -> None:
    pass


def judge_candle(symbol: str, row: ForeignRow, listings: Sequence[Listing]) -> Candle | str:
    """The row as a candle of the least authority, or the reason why it is refused; pure.

    Rows are (open_ms, o, h, l, c, volume, quote volume, trades, taker volume, taker quote volume, closed). Reasons:
    ``not_a_minute``, ``still_open`` (it says of itself that the minute was not over), ``outside_listing``,
    ``incomplete`` (a price or the volume is NULL), ``price`` and ``volume`` (what no market can show).
    """
    open_ms, opened, high, low, closed, volume, quote, trades, taker, taker_quote, is_closed = row
    if open_ms % MINUTE_MS:
        return "not_a_minute"
    if is_closed is False:
        return "still_open"
    if not any(listing.admits(open_ms) for listing in listings):
        return _UNLISTED
    if opened is None or high is None or low is None or closed is None or volume is None:
        return "incomplete"
    if not _are_prices(opened, high, low, closed):
        return "price"
    if not _is_amount(volume) or not _are_amounts(quote, taker_quote, trades) or not _within(taker, volume):
        return "volume"
    return Candle(
        symbol, open_ms, opened, high, low, closed, volume, quote, trades, taker, taker_quote, SOURCE, Authority.FOREIGN
    )  # fmt: skip


def judge_metric(symbol: str, row: ForeignRow, listings: Sequence[Listing]) -> FuturesMetric | str:
    """The row as a metric of the least authority, or the reason why it is refused; pure.

    Rows are (end_ms, the six values of ``METRIC_COLUMNS``, closed). Their time is taken for the end of the period.
    Reasons: ``not_a_period``, ``still_open``, ``outside_listing``, ``incomplete`` (no value at all), ``value``.
    """
    end_ms, *values, is_closed = row
    if end_ms % FIVE_MINUTES_MS:
        return "not_a_period"
    if is_closed is False:
        return "still_open"
    if not any(listing.admits(end_ms - FIVE_MINUTES_MS) for listing in listings):
        return _UNLISTED
    known = [value for value in values if value is not None]
    if not known:
        return "incomplete"
    if not all(value.is_finite() and value >= 0 for value in known):
        return "value"
    columns = dict(zip(METRIC_COLUMNS, values, strict=True))
    return FuturesMetric.of(symbol, end_ms, columns, SOURCE, Authority.FOREIGN)


def _are_prices(opened: float, high: float, low: float, closed: float) -> bool:
    # NaN compares as false either way, so min and max would hide it.
    if not all(map(isfinite, (opened, high, low, closed))):
        return False
    return 0 < low <= min(opened, closed) <= max(opened, closed) <= high


def _is_amount(value: float) -> bool:
    return value >= 0 and isfinite(value)


def _are_amounts(*values: float | None) -> bool:
    return all(value is None or _is_amount(value) for value in values)


def _within(part: float | None, whole: float) -> bool:
    return part is None or 0 <= part <= whole


def months(since_ms: int, until_ms: int) -> Iterator[tuple[date, int, int]]:
    """The UTC months that [since_ms, until_ms) touches, oldest first: first day, start and end in milliseconds."""
    if since_ms >= until_ms:
        return
    month = datetime.fromtimestamp(since_ms / 1000, UTC).date().replace(day=1)
    while _ms(month) < until_ms:
        following = (month.replace(day=28) + timedelta(days=4)).replace(day=1)
        yield month, _ms(month), _ms(following)
        month = following


def _ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS
