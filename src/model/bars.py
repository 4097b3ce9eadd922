"""A bar as a venue tells it."""

from __future__ import annotations

from typing import NamedTuple


class VenueBar(NamedTuple):
    """A closed bar of [open_ms, close_ms), UTC milliseconds; prices and ``quote_volume`` in the quote asset.

    ``buy_volume`` is what takers bought, of ``volume``, in the base asset.
    """

    open_ms: int
    close_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    trade_count: int
    buy_volume: float
