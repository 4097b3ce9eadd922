"""``marketd gaps``."""
