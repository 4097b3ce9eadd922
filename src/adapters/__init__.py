"""The outside world: the exchange, the database, and those who look at metrics."""
