"""The candle, which row of a minute wins, and minutes without one."""

from __future__ import annotations

from dataclasses import dataclass

from .rows import Authority
from .times import MINUTE_MS


@dataclass(frozen=True, slots=True)
class Candle:
    """One closed 1m candle: key (symbol, open_ms), values, and where they come from.

    ``None`` means the source did not say; it is never used for zero. ``revision`` counts republications of
    an archive file and is 0 elsewhere. ``source`` is a label for people (``binance_ws``, ``binance_rest``).
    """

    symbol: str
    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float | None
    trade_count: int | None
    taker_buy_volume: float | None
    taker_buy_quote_volume: float | None
    source: str
    authority: Authority
    revision: int = 0

    @property
    def key(self) -> tuple[str, int]:
        return (self.symbol, self.open_ms)

    @property
    def close_ms(self) -> int:
        """The first instant after the minute, UTC milliseconds."""
        return self.open_ms + MINUTE_MS

    @property
    def values(self) -> tuple[float | int | None, ...]:
        """The nine market values in table order: o h l c, volume, quote volume, trades, taker volumes."""
        return (
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.quote_volume,
            self.trade_count,
            self.taker_buy_volume,
            self.taker_buy_quote_volume,
        )

    @property
    def rank(self) -> tuple[float | int | str, ...]:
        """Total order among rows of one minute; the larger one wins, here and in ``sql/queries/candles.sql``.

        Completeness, then authority (an archive row without trades counts as none), revision, trade count,
        then the values themselves and where they come from, so that any order of arrival leaves the same row.
        """
        complete = None not in self.values
        doubtful = self.authority is Authority.ARCHIVE and not self.trade_count
        known = tuple(-1 if value is None else value for value in reversed(self.values))
        trades = -1 if self.trade_count is None else self.trade_count
        trust = int(self.authority)
        return (complete, 0 if doubtful else trust, self.revision, trades, *known, trust, self.source)


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """Minutes of one symbol that are not stored: [from_ms, to_ms), both minute starts, UTC milliseconds."""

    symbol: str
    from_ms: int
    to_ms: int
    reason: str

    @property
    def minutes(self) -> int:
        return (self.to_ms - self.from_ms) // MINUTE_MS
