"""``GET /fapi/v1/klines`` and ``/api/v3/klines``: parameters, weights, errors and rows, without HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..faults import Kind
from ..market.candles import MINUTE_MS, Kline
from ..market.universe import Instrument
from ..stream.frames import STEPS
from ..venue import Venue

DEFAULT_LIMIT = 500
MOST = 1500
_INTERVALS = frozenset(
    {"1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"}
)
MADE = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "4h": 240, "1d": 1440}
"""The intervals that there are here, in minutes. The spot market shows the prices of the futures."""
SPOT_MOST = 1000


class Refused(Exception):
    """HTTP 400 with the venue's code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Query:
    """A valid request; times in UTC milliseconds, both inclusive. A row is of so many ``minutes``."""

    instrument: Instrument
    limit: int
    start_ms: int | None
    end_ms: int | None
    minutes: int = 1


def weight(parameters: Mapping[str, str]) -> int:
    """1, 2, 5 or 10 by limit, in the documented bands (1-99, 100-499, 500-1000, above); omitted is 500 rows."""
    try:
        limit = int(parameters.get("limit", DEFAULT_LIMIT))
    except ValueError:
        return 1
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def parse(venue: Venue, parameters: Mapping[str, str], *, most: int = MOST) -> Query:
    """Check the parameters in the venue's order; raises ``Refused``."""
    symbol, interval = parameters.get("symbol", ""), parameters.get("interval", "")
    for name, value in (("symbol", symbol), ("interval", interval)):
        if not value:
            text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
            raise Refused(-1102, text)
    limit = integer(parameters, "limit")
    limit = DEFAULT_LIMIT if limit is None else limit
    if not 1 <= limit <= most:
        raise Refused(-1130, "Data sent for parameter 'limit' is not valid.")
    start, end = integer(parameters, "startTime"), integer(parameters, "endTime")
    if start is not None and end is not None and start > end:
        raise Refused(-1023, "Start time is greater than end time.")
    if interval not in _INTERVALS:
        raise Refused(-1120, "Invalid interval.")
    if interval not in MADE:
        raise Refused(-1120, f"Invalid interval. (This sandbox has {', '.join(MADE)} only.)")
    instrument = venue.universe.instruments.get(symbol)
    if instrument is None:
        raise Refused(-1121, "Invalid symbol.")
    return Query(instrument, limit, start, end, MADE[interval])


def integer(parameters: Mapping[str, str], name: str) -> int | None:
    """A parameter's whole number, None where it was not sent; raises ``Refused``."""
    text = parameters.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise Refused(-1130, f"Data sent for parameter '{name}' is not valid.") from None


def rows(venue: Venue, query: Query) -> list[Kline]:
    """The rows, ascending; the last may be the minute that is still open.

    A closed minute has its row only when its delay has passed, and no row of a later minute comes before it.
    startTime is rounded up and endTime down to whole minutes, both inclusive; without startTime the newest
    rows are given.
    """
    if query.minutes > 1:
        return _larger_rows(venue, query)
    last = _newest(venue, query.instrument)
    lowest = 0 if query.start_ms is None else -(-query.start_ms // MINUTE_MS)
    highest = last if query.end_ms is None else min(last, query.end_ms // MINUTE_MS)
    backwards = query.start_ms is None
    found: list[Kline] = []
    for minute in query.instrument.minutes(lowest, highest, backwards=backwards):
        if (row := _row(venue, query.instrument, minute)) is not None:
            found.append(row)
            if len(found) == query.limit:
                break
    return found[::-1] if backwards else found


def _larger_rows(venue: Venue, query: Query) -> list[Kline]:
    """Rows of several minutes, made of those that have a row; the last may still be open. Ascending."""
    length_ms = query.minutes * MINUTE_MS
    newest = _newest(venue, query.instrument) // query.minutes
    highest = newest if query.end_ms is None else min(newest, query.end_ms // length_ms)
    lowest = highest - query.limit + 1 if query.start_ms is None else -(-query.start_ms // length_ms)
    found: list[Kline] = []
    for number in range(lowest, highest + 1):
        first = number * query.minutes
        minutes = query.instrument.minutes(first, first + query.minutes - 1, backwards=False)
        if parts := [row for minute in minutes if (row := _row(venue, query.instrument, minute))]:
            found.append(_joined(parts, number * length_ms, length_ms))
        if len(found) == query.limit:
            break
    return found


def _joined(parts: Sequence[Kline], open_ms: int, length_ms: int) -> Kline:
    def total(name: str) -> str:
        return str(sum((Decimal(getattr(part, name)) for part in parts), Decimal(0)))

    return Kline(
        open_time=open_ms,
        open=parts[0].open,
        high=max((part.high for part in parts), key=Decimal),
        low=min((part.low for part in parts), key=Decimal),
        close=parts[-1].close,
        volume=total("volume"),
        close_time=open_ms + length_ms - 1,
        quote_volume=total("quote_volume"),
        trade_count=sum(part.trade_count for part in parts),
        taker_buy_volume=total("taker_buy_volume"),
        taker_buy_quote_volume=total("taker_buy_quote_volume"),
    )


def _newest(venue: Venue, instrument: Instrument) -> int:
    """The newest minute that has a row: the open one, unless the one before it is still on its way."""
    now = venue.clock.now_ms()
    minute = now // MINUTE_MS
    if venue.final_ms(instrument, minute - 1) <= now or not instrument.trades(minute - 1):
        return minute
    if venue.faults.any(Kind.EARLY_ROWS) and venue.faults.hit(Kind.EARLY_ROWS, symbol=instrument.symbol):
        return minute
    return minute - 2


def _row(venue: Venue, instrument: Instrument, minute: int) -> Kline | None:
    now = venue.clock.now_ms()
    if venue.final_ms(instrument, minute) <= now:
        return venue.kline(instrument, minute)
    frames = venue.frames(instrument, minute)
    if frames is None:
        return venue.kline(instrument, minute)
    return frames.partial(venue.step(now) if minute == now // MINUTE_MS else STEPS - 1)
