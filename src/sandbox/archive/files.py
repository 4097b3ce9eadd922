"""Which archive files there are, since when, and what stands in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5

from ..market.bulk import csv_rows
from ..market.candles import MINUTE_MS, mix, symbol_key
from ..market.metrics import SLOT_MS, metric, settlements, slots, trimmed
from ..market.trades import AggTrade, Trades
from ..market.universe import Instrument, Period
from ..venue import Venue
from .dirt import revised
from .names import PLACES, FileName, folder_prefix, labels

KLINES_HEADER = (
    b"open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    b"taker_buy_quote_volume,ignore\n"
)
METRICS_HEADER = (
    b"create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    b"sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio\n"
)
FUNDING_HEADER = b"calc_time,funding_interval_hours,last_funding_rate\n"
TRADES_HEADER = b"agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
_MICROSECONDS_FROM = "2025-01"
_HOUR_MS = 3_600_000
_EARLIEST_MS, _LATEST_MS = 105 * 60_000, 560 * 60_000
"""Daily files come between 01:45 and 09:20 of the next day."""
_MONTHLY_MS = 4 * 24 * _HOUR_MS
"""Monthly ones on about the fifth."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of the listing."""

    key: str
    modified_ms: int
    size: int
    etag: str


class ArchiveFiles:
    """The archive's inside. Texts are made by the functions that ``text`` returns, which any thread may run."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._folders: tuple[int, dict[str, tuple[Instrument, list[Period]]]] = (-1, {})

    def folders(self) -> dict[str, tuple[Instrument, list[Period]]]:
        """Every contract that ever traded by the name of its folder, in the order of the keys."""
        version = self._venue.universe.version
        if self._folders[0] != version:
            found = {
                folder: (instrument, periods)
                for instrument in self._venue.universe.instruments.values()
                for folder, periods in instrument.folders().items()
            }
            self._folders = (version, dict(sorted(found.items(), key=lambda one: one[0].encode())))
        return self._folders[1]

    def exists(self, name: FileName) -> bool:
        """True once it is published."""
        now = self._venue.clock.now_ms()
        return self._trades(name) and self.published_ms(name) <= now

    def files(self, span: str, kind: str, folder: str) -> Iterator[FileName]:
        """The published files of a folder, oldest first."""
        _, periods = self.folders()[folder]
        now = self._venue.clock.now_ms()
        found: dict[str, None] = {}
        for period in periods:
            end = now // MINUTE_MS if period.end is None else period.end
            found |= dict.fromkeys(labels(span, period.first * MINUTE_MS, end * MINUTE_MS))
        for label in sorted(found):
            name = FileName(span, kind, folder, label)
            if self.published_ms(name) <= now and self._trades(name):
                yield name

    def published_ms(self, name: FileName) -> int:
        """When it first appeared, UTC milliseconds of the exchange."""
        given = self._venue.options.publish_after_s
        if given is not None:
            return name.end_ms + given * 1000
        bits = mix(symbol_key(self._venue.options.seed, name.key))
        delay = _EARLIEST_MS + bits % (_LATEST_MS - _EARLIEST_MS)
        return name.end_ms + delay + (0 if name.span == "daily" else _MONTHLY_MS)

    def entry(self, name: FileName) -> Entry:
        """Its line in the listing.

        The size is a guess: to know it, every listed file would have to be made. The tag names key and
        version; like that of the real bucket's multipart uploads it is no digest of the content.
        """
        modified = max([self.published_ms(name), *(at for _, times in self._revisions(name) for at in times)])
        minutes = self._minutes(name)
        per_minute = {"klines": 47.0, "metrics": 10.0, "fundingRate": 0.05, "aggTrades": 300.0}[name.kind]
        tag = md5(f"{name.key}/{modified}".encode(), usedforsecurity=False).hexdigest()
        return Entry(name.key, modified, 200 + int(minutes * per_minute), f'"{tag}-1"')

    def places(self) -> Iterator[tuple[str, str, str, str]]:
        """(prefix, span, kind, folder) of every folder, in the order of the keys."""
        for span, kind in PLACES:
            for folder in self.folders():
                yield folder_prefix(span, kind, folder), span, kind, folder

    def text(self, name: FileName) -> Callable[[], bytes]:
        """What makes the rows of a file that exists, without header."""
        instrument, periods = self.folders()[name.folder]
        first, end = name.first_ms, name.end_ms
        if name.kind == "klines":
            make = self._candles(instrument, self._kept(instrument.symbol, self._spans(name)))
            changes = [(minute * MINUTE_MS, len(times)) for minute, times in self._revisions(name)]
            return (lambda: revised(make(), changes)) if changes else make
        if name.kind == "aggTrades":
            return self._trade_rows(name)
        if name.kind == "metrics":
            label = 0 if name.label >= self._venue.options.start_labels_from else SLOT_MS
            return lambda: _metrics(instrument, tuple(periods), first, end, label)
        return lambda: _funding(instrument, tuple(periods), first, end)

    def header(self, name: FileName) -> bytes:
        """The header line, which older klines do not have."""
        if name.kind in ("metrics", "fundingRate"):
            return METRICS_HEADER if name.kind == "metrics" else FUNDING_HEADER
        if name.spot or name.label < self._venue.options.header_from:
            return b""
        return KLINES_HEADER if name.kind == "klines" else TRADES_HEADER

    def _candles(self, instrument: Instrument, spans: list[tuple[int, int]]) -> Callable[[], bytes]:
        if instrument.symbol in self._venue.replay:
            replay, symbol = self._venue.replay, instrument.symbol

            def replayed() -> bytes:
                rows = (replay.kline(symbol, minute) for first, end in spans for minute in range(first, end))
                return "".join(",".join(map(str, row)) + "\n" for row in rows if row is not None).encode()

            return replayed
        return lambda: b"".join(csv_rows(instrument.traits, first, end) for first, end in spans)

    def _trade_rows(self, name: FileName) -> Callable[[], bytes]:
        """As the market's files are: those of spot in microseconds since 2025, and with a column more."""
        instrument, _ = self.folders()[name.folder]
        trades, spans = Trades(self._venue, spot=name.spot), self._spans(name)
        fine = "987" if name.spot and name.label >= _MICROSECONDS_FROM else ""

        def rows() -> bytes:
            found = (
                trade
                for first, end in spans
                for minute in range(first, end)
                for trade in trades.of_minute(instrument, minute)
            )
            return "".join(trade_line(trade, fine, spot=name.spot) for trade in found).encode()

        return rows

    def _spans(self, name: FileName) -> list[tuple[int, int]]:
        """The minutes [first, end) of the file in which its contract trades."""
        _, periods = self.folders()[name.folder]
        first, end = name.first_ms // MINUTE_MS, name.end_ms // MINUTE_MS
        found = [
            (max(first, period.first), end if period.end is None else min(end, period.end))
            for period in periods
        ]
        return [(start, stop) for start, stop in found if start < stop]

    def _kept(self, symbol: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """The spans without the minutes that the venue lost."""
        for minute in sorted(self._venue.lost.get(symbol, ())):
            spans = [
                piece
                for first, end in spans
                for piece in ((first, min(end, minute)), (max(first, minute + 1), end))
                if piece[0] < piece[1]
            ]
        return spans

    def _revisions(self, name: FileName) -> list[tuple[int, list[int]]]:
        """The corrected minutes of a klines file and when they were corrected."""
        if name.kind != "klines" or not self._venue.revisions or name.folder not in self.folders():
            return []
        symbol = self.folders()[name.folder][0].symbol
        spans = self._spans(name)
        return [
            (minute, times)
            for (owner, minute), times in self._venue.revisions.items()
            if owner == symbol and any(first <= minute < end for first, end in spans)
        ]

    def _minutes(self, name: FileName) -> int:
        return sum(end - first for first, end in self._spans(name))

    def _trades(self, name: FileName) -> bool:
        if name.folder not in self.folders():
            return False
        if name.kind == "fundingRate":
            instrument, periods = self.folders()[name.folder]
            return bool(settlements(instrument.traits, periods, name.first_ms, name.end_ms))
        return bool(self._spans(name))


def trade_line(trade: AggTrade, fine: str, *, spot: bool) -> str:
    """``1,43000.10,0.5,3,5,1769904000123,true``; in spot files ``True``, and whether it was the best price."""
    word = str(trade.is_buyer_maker)
    first = trade.number * 3
    cells = f"{trade.number},{trade.price},{trade.quantity},{first},{first + 2},{trade.time_ms}{fine}"
    return f"{cells},{word},True\n" if spot else f"{cells},{word.lower()}\n"


def _metrics(
    instrument: Instrument, periods: Sequence[Period], first_ms: int, end_ms: int, label_ms: int
) -> bytes:
    """The rows of a day, labelled with the starts of their periods or, ``label_ms`` later, their ends."""
    rows = []
    for slot in slots(periods, first_ms, end_ms):
        one = metric(instrument.traits, slot)
        stamp = datetime.fromtimestamp((slot * SLOT_MS + label_ms) // 1000, UTC).replace(tzinfo=None)
        cells = (str(stamp), instrument.symbol, *map(trimmed, one[1:7]))
        rows.append(",".join(cells) + "\n")
    return "".join(rows).encode()


def _funding(instrument: Instrument, periods: Sequence[Period], first_ms: int, end_ms: int) -> bytes:
    found = settlements(instrument.traits, periods, first_ms, end_ms)
    return "".join(f"{one.time_ms},{one.interval_hours},{one.rate}\n" for one in found).encode()
