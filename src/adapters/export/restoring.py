"""Rows of exported files as the values that the guarded writers take. Pure.

Where a row was put together from several sources, its columns have ranks of their own: it comes back as one value a
rank, and the writer puts them together again just so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from ...model import METRIC_COLUMNS, Authority, Candle, FundingRate, FuturesMetric, Trade

_REVISIONS = 1000
"""A rank is the authority times this, and the revision (``timescale/metrics/merging.py``)."""


def candle(symbol: str, row: Sequence[Any]) -> Candle:
    """(time in µs, the nine values, source, authority, revision)."""
    (
        at_us,
        opened,
        high,
        low,
        closed,
        volume,
        quote,
        trades,
        taker,
        taker_quote,
        source,
        authority,
        revision,
    ) = row
    return Candle(
        symbol, at_us // 1000, opened, high, low, closed, volume, quote, trades, taker, taker_quote, source,
        Authority(authority), revision,
    )  # fmt: skip


def trade(symbol: str, row: Sequence[Any]) -> Trade:
    """(id, time in µs, price, quantity, whether the buyer was the maker)."""
    trade_id, at_us, price, quantity, is_buyer_maker = row
    return Trade(symbol, trade_id, at_us // 1000, price, quantity, bool(is_buyer_maker))


def metric(symbol: str, row: Sequence[Any]) -> Iterator[FuturesMetric]:
    """(time in µs, six values as text, their six ranks, source, authority): a value for each rank among them."""
    at_us, *columns, source, authority = row
    values, ranks = columns[: len(METRIC_COLUMNS)], columns[len(METRIC_COLUMNS) :]
    for rank in sorted({rank for rank in ranks if rank >= 0}):
        said = {
            name: Decimal(value)
            for name, value, has in zip(METRIC_COLUMNS, values, ranks, strict=True)
            if has == rank
        }
        trust = Authority(rank // _REVISIONS)
        part = FuturesMetric.of(symbol, at_us // 1000, said, _source(source, authority, trust), trust)
        yield replace(part, revision=rank % _REVISIONS)


def funding(symbol: str, row: Sequence[Any]) -> Iterator[FundingRate]:
    """(time in µs, rate, mark price, interval, their three ranks, source, authority): the same.

    Every source says the rate, so its rank is the largest, and its value with a smaller one changes nothing.
    """
    at_us, rate, price, hours, *ranks, source, authority = row
    for rank in sorted({rank for rank in ranks if rank >= 0}):
        trust = Authority(rank // _REVISIONS)
        yield FundingRate(
            symbol,
            at_us // 1000,
            Decimal(rate),
            Decimal(price) if ranks[1] == rank else None,
            hours if ranks[2] == rank else None,
            _source(source, authority, trust),
            trust,
            rank % _REVISIONS,
        )


def _source(source: str, authority: int, trust: Authority) -> str:
    """The row names the source of its largest authority only; the others are not known any more, and never win."""
    return source if trust == authority else ""
