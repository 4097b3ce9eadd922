"""One module for each group of routes, each with its ``router``; ``ROUTERS`` is what is served."""

from __future__ import annotations

from fastapi import APIRouter

from . import (
    aggregations,
    alerts,
    analysis,
    backfills,
    batches,
    coverage,
    health,
    jobs,
    klines,
    levels,
    metrics,
    overview,
    symbols,
    tasks,
    trades,
    udf,
)

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    overview.router,
    symbols.router,
    klines.router,
    trades.router,
    metrics.router,
    levels.router,
    coverage.router,
    udf.router,
    tasks.router,
    jobs.router,
    analysis.router,
    batches.router,
    alerts.router,
    backfills.router,
    aggregations.router,
)
"""A new module is added here and nowhere else."""
