"""What runs: the way of a candle from the stream or REST through the buffer to the sink, and what watches over it."""
