"""Measurements: each module with a ``run`` is one benchmark, started by ``python -m benchmarks NAME``."""
