"""Raw messages to values, pure: candles and what all share in ``messages``, then by what is parsed."""
