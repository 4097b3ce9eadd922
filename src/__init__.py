"""marketd: a complete, verified copy of the Binance USDT-perpetual market in TimescaleDB."""

__version__ = "0.1.0"
