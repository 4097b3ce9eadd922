"""A stand-in for Binance USDⓈ-M futures on loopback; see ``README.md`` in this folder."""

from __future__ import annotations

from .market.candles import Kline
from .options import SandboxOptions
from .server import Sandbox, run_sandbox

__all__ = ["Kline", "Sandbox", "SandboxOptions", "run_sandbox"]
