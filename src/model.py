"""The values marketd moves about: frozen, slotted, with units in their docstrings.

Times are integer milliseconds since 1970-01-01 UTC, as the venue sends them, so that no float and no
time zone can shift a minute. Prices are in the quote asset, volumes in the base asset, quote volumes in
the quote asset, all ``float`` (exact to 15 significant digits, see docs/adr/0001-candles-are-float8.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import IntEnum, StrEnum

MINUTE_MS = 60_000
FIVE_MINUTES_MS = 300_000
DAY_MS = 86_400_000


class Dataset(StrEnum):
    """What the coverage ledger counts, by the word in its column ``dataset``."""

    CANDLES = "candles_1m"
    METRICS = "metrics_5m"
    FUNDING = "funding"


class Authority(IntEnum):
    """How far a row is to be trusted; a row is never replaced by one of less authority."""

    FOREIGN = 0
    """Taken over from another program's tables."""
    STREAM = 1
    """The live stream, or REST asked less than 60 s after the close."""
    REST = 2
    """REST asked at least 60 s after the close."""
    ARCHIVE = 3
    """The venue's published archive."""


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


class ContractStatus(StrEnum):
    """``status`` of exchangeInfo and ``cs`` of ``!contractInfo``; an unknown word becomes OTHER."""

    PENDING_TRADING = "PENDING_TRADING"
    TRADING = "TRADING"
    PRE_DELIVERING = "PRE_DELIVERING"
    DELIVERING = "DELIVERING"
    DELIVERED = "DELIVERED"
    PRE_SETTLE = "PRE_SETTLE"
    SETTLING = "SETTLING"
    CLOSE = "CLOSE"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One listing of one contract, from onboard (inclusive) to delivery (exclusive), UTC milliseconds.

    A symbol listed again later is another instrument. Tick and step sizes are the venue's decimal text.
    """

    symbol: str
    base: str
    quote: str
    contract_type: str
    status: ContractStatus
    onboard_ms: int
    delivery_ms: int
    tick_size: str
    step_size: str


@dataclass(frozen=True, slots=True)
class Listing:
    """One time of trading of a symbol: [onboard_ms, end_ms), UTC milliseconds. Listed again is another one."""

    symbol: str
    onboard_ms: int
    end_ms: int

    def expects(self, open_ms: int) -> bool:
        """Whether the whole minute lies inside, so that its candle must exist."""
        return self.onboard_ms <= open_ms and open_ms + MINUTE_MS <= self.end_ms

    def admits(self, open_ms: int) -> bool:
        """Whether any part of the minute lies inside, so that its candle may exist."""
        return floor_minute(self.onboard_ms) <= open_ms < self.end_ms

    def window(self, since_ms: int, until_ms: int) -> tuple[int, int]:
        """The expected minutes within [since_ms, until_ms) as minute starts; empty when the first is not less."""
        first = -(-max(self.onboard_ms, since_ms) // MINUTE_MS) * MINUTE_MS
        return first, floor_minute(min(self.end_ms, until_ms))


@dataclass(frozen=True, slots=True)
class ContractChange:
    """One ``!contractInfo`` event: a listing, halt or delisting as it happens."""

    symbol: str
    contract_type: str
    status: ContractStatus
    onboard_ms: int
    delivery_ms: int
    event_ms: int


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


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What one committed transaction did with its rows; the three add up to the rows given."""

    inserted: int
    replaced: int
    unchanged: int

    @property
    def rows(self) -> int:
        return self.inserted + self.replaced + self.unchanged


METRIC_COLUMNS = (
    "sum_open_interest",
    "sum_open_interest_value",
    "count_toptrader_long_short_ratio",
    "sum_toptrader_long_short_ratio",
    "count_long_short_ratio",
    "sum_taker_long_short_vol_ratio",
)
"""The values of ``FuturesMetric`` in the order of the table and of the archive's files."""


@dataclass(frozen=True, slots=True)
class FuturesMetric:
    """Open interest and long/short ratios of one symbol at the END of a 5 min period, ``end_ms`` (UTC ms).

    ``None`` means the source did not say (a blank cell, an endpoint that failed); it is never used for zero. The
    values are exact decimals as the venue wrote them: open interest in the base asset, its value in the quote
    asset, the others ratios. ``sum_taker_long_short_vol_ratio`` is of the period that ends at ``end_ms``. ``revision``
    counts republications of an archive file and is 0 elsewhere.
    """

    symbol: str
    end_ms: int
    sum_open_interest: Decimal | None
    sum_open_interest_value: Decimal | None
    count_toptrader_long_short_ratio: Decimal | None
    sum_toptrader_long_short_ratio: Decimal | None
    count_long_short_ratio: Decimal | None
    sum_taker_long_short_vol_ratio: Decimal | None
    source: str
    authority: Authority
    revision: int = 0

    @property
    def values(self) -> tuple[Decimal | None, ...]:
        """The values in the order of ``METRIC_COLUMNS``."""
        return (
            self.sum_open_interest,
            self.sum_open_interest_value,
            self.count_toptrader_long_short_ratio,
            self.sum_toptrader_long_short_ratio,
            self.count_long_short_ratio,
            self.sum_taker_long_short_vol_ratio,
        )

    @classmethod
    def of(
        cls,
        symbol: str,
        end_ms: int,
        columns: Mapping[str, Decimal | None],
        source: str,
        authority: Authority,
    ) -> FuturesMetric:
        """A row of the columns that are known; those not named are ``None``."""
        oi, value, top_accounts, top_positions, accounts, taker = map(columns.get, METRIC_COLUMNS)
        return cls(symbol, end_ms, oi, value, top_accounts, top_positions, accounts, taker, source, authority)


@dataclass(frozen=True, slots=True)
class FundingRate:
    """One settlement of funding: ``funding_ms`` (UTC ms), the rate as a fraction, and the price it was taken at.

    ``interval_hours`` is the true interval of the symbol then (1, 4 or 8), ``mark_price`` is unknown for old rows.
    """

    symbol: str
    funding_ms: int
    rate: Decimal
    mark_price: Decimal | None
    interval_hours: int | None
    source: str
    authority: Authority
    revision: int = 0


@dataclass(frozen=True, slots=True)
class CoverageDay:
    """One line of the coverage ledger: rows due, there, proved absent and expired of a symbol's UTC day.

    ``attempts`` counts looks that left it incomplete, ``next_look_ms`` is when the next may be (UTC ms).
    """

    dataset: Dataset
    symbol: str
    day: date
    expected: int
    have: int
    absent: int = 0
    expired: int = 0
    dirty: bool = False
    attempts: int = 0
    next_look_ms: int = 0

    @property
    def unaccounted(self) -> int:
        """Rows that are pending or missing."""
        return max(0, self.expected - self.have - self.absent - self.expired)


@dataclass(frozen=True, slots=True)
class Expired:
    """What one run of retention did to a dataset: chunks dropped, ledger lines changed, rows newly *expired*."""

    dataset: Dataset
    chunks: int
    lines: int
    rows: int


class Span(StrEnum):
    """How much one archive file holds."""

    DAILY = "daily"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True, order=True)
class ArchiveFile:
    """One file of the venue's archive. ``path`` lies below the archive's root and ends in ``.zip``.

    ``symbol`` is ours; the folder's own name (``CTKUSDTSETTLED``) is in ``path`` only. ``first_day`` is the day, or
    the first day of the month.
    """

    path: str
    dataset: Dataset
    symbol: str
    span: Span
    first_day: date


class FileState(StrEnum):
    """What became of an archive file, by the word in ``archive_files.state``."""

    LISTED = "listed"
    IMPORTED = "imported"
    QUARANTINED = "quarantined"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What is written down about an archive file. ``checked_ms`` is when we last learned of it (UTC ms).

    ``sha256`` is that of the content that was imported, empty otherwise; ``published_ms`` is when it was published,
    None where no listing was read since.
    """

    file: ArchiveFile
    state: FileState
    sha256: str
    checked_ms: int
    published_ms: int | None = None


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """What a person asked to be filled: minutes of [since_ms, until_ms) of the symbols that ``symbols`` (globs) match.

    ``source`` is auto, zip or rest; ``force`` reads files again that were imported, ``keep`` leaves them in the folder.
    """

    id: int
    symbols: tuple[str, ...]
    since_ms: int
    until_ms: int
    source: str
    force: bool
    keep: bool


def floor_minute(ms: float) -> int:
    """The start of the minute that holds ``ms``."""
    return int(ms) // MINUTE_MS * MINUTE_MS
