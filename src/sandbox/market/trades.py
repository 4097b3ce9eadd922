"""Aggregate trades: a pure function of a minute's candle, as ids, times, prices and quantities; without HTTP.

Every minute with trades has ``A_MINUTE`` of them, whatever its candle counts: they open, reach high and low, and
close where the candle does, and their quantities add up to its volume (each is at least one lot). Ids go up by one;
a minute in which nothing trades skips its own. A symbol that is listed again is another contract: its ids begin at 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..rest.klines import Refused, integer
from ..stream.frames import places, units
from ..venue import Venue
from .candles import MINUTE_MS, Kline, decimal, symbol_key
from .universe import Instrument

A_MINUTE = 22
"""One more than a multiple of three: the turns of the price's way fall on trades."""
DEFAULT_LIMIT, MOST = 500, 1000
KEPT_MS = 48 * 3_600_000
"""How far back futures REST goes; -4166 beyond."""
_FIRST_MINUTE = 26_297_280
"""2020-01-01 UTC."""


class AggTrade(NamedTuple):
    """One aggregate trade in the venue's own words; ``time_ms`` UTC milliseconds."""

    number: int
    price: str
    quantity: str
    time_ms: int
    is_buyer_maker: bool

    @property
    def message(self) -> dict[str, object]:
        """``{"a":1,"p":"1.0","q":"2","f":3,"l":5,"T":1769904000123,"m":true}``"""
        first = self.number * 3
        return {
            "a": self.number, "p": self.price, "q": self.quantity, "f": first, "l": first + 2, "T": self.time_ms,
            "m": self.is_buyer_maker,
        }  # fmt: skip


class Trades:
    """The trades of a venue's futures, or with ``spot`` those of its spot market, which has other ids."""

    def __init__(self, venue: Venue, *, spot: bool = False) -> None:
        self._venue, self._spot = venue, spot
        self._shift = 500_000_000 if spot else 0

    def of_minute(self, instrument: Instrument, minute: int) -> list[AggTrade]:
        """All trades of a minute, those to come included; none where nothing trades."""
        kline = self._venue.kline(instrument, minute)
        if kline is None or not kline.trade_count:
            return []
        first = self.first_id(instrument, minute)
        return [
            AggTrade(first + at, price, quantity, _time(minute, at), (first + at) % 3 == 0)
            for at, (price, quantity) in enumerate(_deals(kline))
        ]

    def first_id(self, instrument: Instrument, minute: int) -> int:
        """The id of the minute's first trade."""
        start, minute_of_start = self._numbering(instrument, minute)
        return start + (minute - minute_of_start) * A_MINUTE

    def between(self, instrument: Instrument, from_ms: int, to_ms: int) -> Iterator[AggTrade]:
        """The trades of [from_ms, to_ms) that have been by now, in order."""
        until = min(to_ms, self._venue.clock.now_ms() + 1)
        for minute in instrument.minutes(from_ms // MINUTE_MS, (until - 1) // MINUTE_MS):
            for trade in self.of_minute(instrument, minute):
                if from_ms <= trade.time_ms < until:
                    yield trade

    def rows(self, parameters: Mapping[str, str], *, kept_ms: int | None) -> list[AggTrade]:
        """The answer to a request; ``kept_ms`` is how far back it may reach. Raises ``Refused``."""
        symbol = parameters.get("symbol", "")
        if not symbol:
            raise Refused(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        instrument = self._venue.universe.instruments.get(symbol)
        if instrument is None:
            raise Refused(-1121, "Invalid symbol.")
        limit = integer(parameters, "limit")
        limit = DEFAULT_LIMIT if limit is None else limit
        if not 1 <= limit <= MOST:
            raise Refused(-1130, "Data sent for parameter 'limit' is not valid.")
        return self._chosen(instrument, parameters, limit, kept_ms)

    def _chosen(
        self, instrument: Instrument, parameters: Mapping[str, str], limit: int, kept_ms: int | None
    ) -> list[AggTrade]:
        number, start, end = (integer(parameters, name) for name in ("fromId", "startTime", "endTime"))
        now = self._venue.clock.now_ms()
        if number is not None:
            start = self._time_of(instrument, number)
        listed = None if self._spot else relisted_at(instrument, now // MINUTE_MS)
        if listed is not None and start is not None:
            start = max(start, listed * MINUTE_MS)
        if start is None:
            newest = list(self.between(instrument, now - 30 * MINUTE_MS, now + 1))
            return newest[-limit:]
        if kept_ms is not None and start < now - kept_ms:
            raise Refused(-4166, "Search window is restricted to recent 48 hours only.")
        until = now + 1 if end is None else end + 1
        found = []
        for trade in self.between(instrument, start, until):
            if number is None or trade.number >= number:
                found.append(trade)
            if len(found) == limit:
                break
        return found

    def _time_of(self, instrument: Instrument, number: int) -> int:
        """When a trade of the contract of now has this id."""
        start, minute = self._numbering(instrument, self._venue.clock.now_ms() // MINUTE_MS)
        return (minute + (number - start) // A_MINUTE) * MINUTE_MS

    def _numbering(self, instrument: Instrument, minute: int) -> tuple[int, int]:
        """An id of the contract that trades in a minute, or did before it, and the minute that it is the first of."""
        first = None if self._spot else relisted_at(instrument, minute)
        if first is not None:
            return 1, first
        return symbol_key(0, instrument.symbol) % 1_000_000 + self._shift, _FIRST_MINUTE


def relisted_at(instrument: Instrument, minute: int) -> int | None:
    """The first minute of the contract that trades in a minute, or did before; None of a symbol's first contract.

    After a halt it is the same contract.
    """
    begun = [period for period in instrument.periods if period.first <= minute]
    onboards = {period.onboard_ms for period in begun}
    if len(onboards) < 2:
        return None
    return min(period.first for period in begun if period.onboard_ms == max(onboards))


def _time(minute: int, at: int) -> int:
    return minute * MINUTE_MS + (2 * at + 1) * MINUTE_MS // (2 * A_MINUTE)


def _deals(kline: Kline) -> list[tuple[str, str]]:
    """Prices and quantities of a minute, as the venue writes them."""
    opening, low, high, closing = map(units, (kline.open, kline.low, kline.high, kline.close))
    turns = (high, low) if kline.open_time // MINUTE_MS & 1 else (low, high)
    way, each = (opening, *turns, closing), (A_MINUTE - 1) // 3
    volume = units(kline.volume)
    share = max(1, volume // A_MINUTE)
    rest = max(1, volume - share * (A_MINUTE - 1))
    found = []
    for at in range(A_MINUTE):
        part, place = divmod(at, each)
        price = way[part] if part == 3 else way[part] + (way[part + 1] - way[part]) * place // each
        quantity = rest if at == A_MINUTE - 1 else share
        found.append((decimal(price, places(kline.open)), decimal(quantity, places(kline.volume))))
    return found
