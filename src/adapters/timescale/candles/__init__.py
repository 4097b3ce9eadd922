"""Where candles go: live ones by ``store``, fetched ones of the past by ``repair``."""
