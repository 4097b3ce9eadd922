"""The market as pure functions of a seed, or replayed; without any transport."""
