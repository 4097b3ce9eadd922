"""How it is now: ``marketd status``, ``doctor`` and ``healthcheck``."""
