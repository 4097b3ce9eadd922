"""Since when each dataset is filled unasked."""

from __future__ import annotations

from ..collectors.backfill.scope import fill_since
from ..collectors.listings.instruments import METRICS_FROM_MS
from ..collectors.retention import fill_from
from ..config import Settings
from ..model import Dataset


def asked_from(settings: Settings, dataset: Dataset, now_ms: int) -> int:
    """UTC ms: BACKFILL_FROM (of trades TRADES_FROM), or later where retention or what the venue has begins later."""
    setting = settings.trades_from if dataset is Dataset.TRADES else settings.backfill_from
    kept = fill_from(now_ms, settings.retention_days, settings.chunk_days)
    floor = METRICS_FROM_MS if dataset in (Dataset.METRICS, Dataset.FUNDING) else 0
    return max(fill_since(setting, now_ms), kept, floor)
