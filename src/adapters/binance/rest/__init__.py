"""The venue's REST side: ``client`` for candles and contracts, ``bars``, ``trades`` and ``metrics`` beside it."""
