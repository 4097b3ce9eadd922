"""Futures metrics and funding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from .rows import Authority

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
