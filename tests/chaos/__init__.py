"""Many faults at once, in an order that a seed decides: ``python -m tests.chaos``."""
