"""Futures metrics and funding: ``sweep`` over REST, ``history`` from the archive, ``funding`` both ways."""
