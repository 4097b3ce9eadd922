"""What is collected beside the candles: metrics, funding and the Alpha list, with the values that are passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from ..model import ArchiveFile, FundingRate, FuturesMetric, WriteResult

_Row = TypeVar("_Row", covariant=True)


class MetricSeries(StrEnum):
    """The five things the venue says every 5 min of each symbol, by the word in metric labels."""

    OPEN_INTEREST = "open_interest"
    TOP_ACCOUNTS = "top_accounts"
    TOP_POSITIONS = "top_positions"
    ACCOUNTS = "accounts"
    TAKER = "taker"


@dataclass(frozen=True, slots=True)
class FileRows(Generic[_Row]):
    """The usable rows of one file or answer, and how many were left out or repeated, by a bounded reason.

    ``start_labelled`` tells of a metrics file whose labels were the starts of periods; its rows carry the ends.
    """

    rows: tuple[_Row, ...]
    rejected: Mapping[str, int]
    start_labelled: bool = False


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a symbol's metrics go: the newest ``end_ms`` of each series, and the newest open interest's value."""

    ends: Mapping[MetricSeries, int]
    value: Decimal


class MetricSource(Protocol):
    """The venue's five series over REST; rows hold the columns of one series and ``None`` elsewhere.

    ``between`` returns the periods that are over with after_ms < end_ms <= until_ms, at most 500, in order, fewer
    where the venue has fewer. Raises ``UnknownSymbol``, ``Retryable`` after one attempt (the sweep comes round
    again) or ``Permanent``.
    """

    async def between(
        self, series: MetricSeries, symbol: str, after_ms: int, until_ms: int
    ) -> list[FuturesMetric]: ...


class MetricSink(Protocol):
    """Where futures metrics go. One transaction a call; writing the same rows again changes nothing.

    ``write_file`` stores the rows of one archive file together with its line; another checksum than the one imported
    before is the next revision. ``refuse_file`` notes that a file is unusable. ``reach`` tells how far each
    symbol goes, looking at rows since ``since_ms`` only; ``stored`` are the rows with after < end_ms <= until.
    All raise ``Retryable``, ``BadData`` or ``Misconfigured``.
    """

    async def write(self, rows: Sequence[FuturesMetric]) -> WriteResult: ...

    async def write_file(
        self, file: ArchiveFile, sha256: str, size_bytes: int, rows: Sequence[FuturesMetric]
    ) -> WriteResult: ...

    async def refuse_file(self, file: ArchiveFile, sha256: str, reason: str) -> None: ...

    async def reach(self, since_ms: int) -> dict[str, Reach]: ...

    async def stored(self, symbol: str, after_ms: int, until_ms: int) -> list[FuturesMetric]: ...


class MetricBlanks(Protocol):
    """Which days have a row without one of its values: symbol and UTC day of the period's beginning, for the days of
    [since, until]. Raises ``Retryable`` or ``Misconfigured``."""

    async def blank_days(self, since: date, until: date) -> set[tuple[str, date]]: ...


class FundingSink(Protocol):
    """Where settlements of funding go; see ``MetricSink``.

    ``newest`` is the last settlement of each symbol since ``since_ms``, UTC milliseconds cut to the second;
    ``imported`` the paths of the monthly files that were imported or refused.
    """

    async def write(self, rows: Sequence[FundingRate]) -> WriteResult: ...

    async def write_file(
        self, file: ArchiveFile, sha256: str, size_bytes: int, rows: Sequence[FundingRate]
    ) -> WriteResult: ...

    async def newest(self, since_ms: int) -> dict[str, int]: ...

    async def imported(self) -> set[str]: ...


class FundingSource(Protocol):
    """The venue's settlements over REST, at most 1000 a call, ordered by symbol and time; see ``MetricSource``.

    ``settlements`` are those at or after ``since_ms`` of one symbol, oldest first; without a symbol the newest of all.
    ``intervals`` are the present hours between two settlements of every symbol that does not have 8.
    """

    async def settlements(self, symbol: str | None, since_ms: int | None) -> list[FundingRate]: ...

    async def intervals(self) -> dict[str, int]: ...


class SmallFiles(Protocol):
    """Reads verified archive files off the loop. Raises ``BadData`` with a bounded reason for one that is unusable."""

    async def metrics(self, file: ArchiveFile, local: Path) -> FileRows[FuturesMetric]: ...

    async def funding(self, file: ArchiveFile, local: Path) -> FileRows[FundingRate]: ...


@dataclass(frozen=True, slots=True)
class AlphaToken:
    """One token of the Binance Alpha list; amounts in US dollars, ``None`` where the venue did not say.

    ``cex_coin_name`` is the coin's name on the exchange, empty when it is not traded there.
    """

    alpha_id: str
    symbol: str
    name: str
    chain_id: str
    contract_address: str
    cex_coin_name: str
    offline: bool
    listing_cex: bool
    listing_ms: int | None
    price: Decimal | None
    volume_24h: Decimal | None
    market_cap: Decimal | None
    liquidity: Decimal | None


class AlphaSource(Protocol):
    """The venue's list of Alpha tokens, never empty. Raises ``Retryable`` or ``BadData``."""

    async def tokens(self) -> list[AlphaToken]: ...


class AlphaSink(Protocol):
    """Where the list is kept. ``refresh`` takes a whole list in one transaction and sets the flag ``alpha`` of the
    contracts whose base asset is on it; returns how many tokens were added and how many left. Raises ``Retryable``,
    ``BadData`` or ``Misconfigured``."""

    async def refresh(self, tokens: Sequence[AlphaToken]) -> tuple[int, int]: ...
