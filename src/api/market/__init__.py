"""What the routes about the market share: times, intervals, pieces of long series, what is known of a symbol."""
