"""marketd from Python: ``from marketd.client import Market``.

    market = Market("http://127.0.0.1:8000")
    candles = market.candles("BTCUSDT", "5m", "2026-11-01", "2026-11-08")

Candles come as a polars frame, or as a pandas one. This package needs nothing of the daemon: it asks its HTTP API.
"""

from __future__ import annotations

from .market import Interval, Market, Moment

__all__ = ["Interval", "Market", "Moment"]
