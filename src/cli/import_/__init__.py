"""``marketd import``."""
