"""``marketd reconcile``."""
