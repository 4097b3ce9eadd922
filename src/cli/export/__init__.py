"""``marketd export``."""
