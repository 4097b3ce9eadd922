"""Connections: one of its own, one that stores share, a pool, and the locks that a session holds."""
