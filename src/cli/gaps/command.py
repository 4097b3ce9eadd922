"""``marketd gaps``: what is missing, since when, why, and what is planned about it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from ...adapters.binance.archive.paths import BinanceLayout
from ...adapters.timescale.reports.gaps import GapsQuestion, read_gaps
from ...clock import VenueClock
from ...collectors.backfill.days import day_of
from ...collectors.backfill.estimate import Estimate, estimate
from ...collectors.backfill.scope import fill_since
from ...collectors.listings.instruments import METRICS_FROM_MS
from ...collectors.retention import fill_from
from ...config import Settings
from ...errors import EXIT_OK, ConfigError
from ...model import FIVE_MINUTES_MS, Dataset
from .. import output
from ..context import Context
from ..coverage.accounting import first_not_due
from ..coverage.command import chosen, reader_options
from .causes import Bounds, Findings, Missing, explain
from .metrics import explain_metrics
from .view import draw

DATASETS = {Dataset.CANDLES: explain, Dataset.METRICS: explain_metrics}
"""What gaps can be listed of, and who explains them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person asked for; days are included on both ends. At most ``limit`` lines are shown."""

    globs: tuple[str, ...]
    first: date | None
    last: date | None
    limit: int
    dataset: Dataset = Dataset.CANDLES


def run(context: Context, wanted: Wanted, *, as_json: bool) -> int:
    """Print the list or the JSON document. Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``."""
    if wanted.dataset not in DATASETS:
        raise ConfigError(
            f"--dataset {wanted.dataset}: the ledger knows how many rows a day lacks and not which;"
            f" see `marketd coverage --dataset {wanted.dataset}`"
        )
    settings = context.settings("DATABASE_URL")
    bounds = bounds_of(settings, VenueClock(speed=settings.speed).now_ms(), wanted.dataset)
    found = asyncio.run(ask(settings, wanted, bounds))
    cost = estimate(
        [found.plan],
        weight_per_minute=settings.rate_limit_per_minute,
        workers=settings.backfill_workers,
    )
    if as_json:
        output.as_json(document(found, cost, bounds, settings.rate_limit_per_minute, wanted.dataset))
    else:
        width = shutil.get_terminal_size((100, 24)).columns
        draw(found, cost, bounds, sys.stdout, width=width, limit=wanted.limit)
    return EXIT_OK


def bounds_of(settings: Settings, now_ms: int, dataset: Dataset = Dataset.CANDLES) -> Bounds:
    """What the daemon fills by itself, as the settings say; pure."""
    kept_ms = fill_from(now_ms, settings.retention_days, settings.chunk_days)
    since_ms = max(fill_since(settings.backfill_from, now_ms), kept_ms)
    until_ms = first_not_due(dataset, now_ms)
    if dataset is Dataset.METRICS:
        # A metric is named by the end of its period, a gap by the beginning of its first.
        since_ms, until_ms = max(since_ms, METRICS_FROM_MS), until_ms - FIVE_MINUTES_MS
    return Bounds(now_ms=now_ms, since_ms=since_ms, until_ms=until_ms, kept_ms=kept_ms)


async def ask(settings: Settings, wanted: Wanted, bounds: Bounds) -> Findings:
    """Read what is missing and explain it."""
    question = GapsQuestion(
        choose=lambda known: chosen(known, wanted.globs),
        first=wanted.first,
        last=wanted.last,
        plain_until=day_of(bounds.since_ms),
        until_ms=bounds.until_ms,
        dataset=wanted.dataset,
    )
    facts = await read_gaps(reader_options(settings), question)
    return DATASETS[wanted.dataset](facts, bounds, BinanceLayout())


def document(
    found: Findings, cost: Estimate, bounds: Bounds, weight_per_minute: int, dataset: Dataset
) -> dict[str, Any]:
    """The answer for a program: every gap of every symbol, and what the planned part costs (of metrics: nothing of
    what is estimated)."""
    return {
        "dataset": dataset.value,
        "as_of": _iso(bounds.now_ms),
        "fills_from": _iso(bounds.since_ms),
        "missing_minutes": found.minutes,
        "planned_minutes": found.planned_minutes,
        "daemon_fills": found.filled,
        "estimate": {
            "files": cost.files,
            "requests": cost.requests,
            "weight": cost.weight,
            "weight_per_minute": weight_per_minute,
            "seconds": round(cost.seconds, 1),
        },
        "gaps": [_plain(item) for item in found.missing],
    }


def _plain(item: Missing) -> dict[str, Any]:
    return {
        "symbol": item.symbol,
        "from": _iso(item.from_ms),
        "to": _iso(item.to_ms),
        "minutes": item.minutes,
        "why": item.why,
        "planned": item.planned,
        "hint": item.hint.format(day=day_of(item.from_ms)),
    }


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()
