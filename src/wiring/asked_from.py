"""Since when each dataset is filled unasked."""

from __future__ import annotations

from ..collectors.backfill.scope import fill_since
from ..collectors.listings.instruments import FUNDING_FROM_MS, METRICS_FROM_MS
from ..collectors.retention import fill_from
from ..config import Settings
from ..model import Dataset

_FLOORS = {Dataset.METRICS: METRICS_FROM_MS, Dataset.FUNDING: FUNDING_FROM_MS}


def asked_from(settings: Settings, dataset: Dataset, now_ms: int) -> int:
    """UTC ms: BACKFILL_FROM (of trades TRADES_FROM), or later where retention or what the venue has begins later."""
    setting = settings.trades_from if dataset is Dataset.TRADES else settings.backfill_from
    kept = fill_from(now_ms, settings.retention_days, settings.chunk_days)
    return max(fill_since(setting, now_ms), kept, _FLOORS.get(dataset, 0))
