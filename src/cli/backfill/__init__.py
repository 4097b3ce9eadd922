"""``marketd backfill``."""
