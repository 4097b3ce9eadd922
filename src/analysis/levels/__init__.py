"""Levels of support and resistance: known at a bar in ``known``; one run in ``compute``, the task in ``jobs``."""
