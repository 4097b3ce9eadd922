"""``marketd coverage``."""
