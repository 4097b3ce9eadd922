"""Aggregate trades: ``live`` from the stream, ``repair`` over REST, ``history`` and ``files`` from the archive."""
