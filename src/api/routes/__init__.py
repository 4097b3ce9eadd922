"""One module for each group of routes, each with its ``router``; ``ROUTERS`` is what is served."""

from __future__ import annotations

from fastapi import APIRouter

from . import analysis, batches, health, overview, tasks

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    overview.router,
    tasks.router,
    analysis.router,
    batches.router,
)
"""A new module is added here and nowhere else."""
