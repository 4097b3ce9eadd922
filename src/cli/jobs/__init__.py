"""``marketd jobs``."""
