"""Binance USDT-margined futures: facts of the venue, and ``stream``, ``rest``, ``archive`` and ``parse``."""
