"""Binance USDT-margined futures: venue facts, parsing, live stream, REST."""
