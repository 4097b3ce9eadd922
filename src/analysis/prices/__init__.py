"""Price series of a market and a pool: one run in ``compute``, the task in ``jobs``."""
