"""Every metric of marketd, declared once. Made by ``wiring``, passed to whoever counts.

Names follow the Prometheus conventions: base units, ``_total`` on counters, timestamps instead of ages, and
no label whose values are not a short fixed list. Nothing is labelled by symbol.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, disable_created_metrics

from .analysis import AnalysisFamilies
from .api import ApiFamilies
from .futures import FuturesFamilies
from .history import HistoryFamilies
from .live import LiveFamilies
from .process import ProcessFamilies
from .swaps import SwapFamilies

__all__ = ["Metrics"]


class Metrics(
    LiveFamilies,
    HistoryFamilies,
    FuturesFamilies,
    AnalysisFamilies,
    SwapFamilies,
    ApiFamilies,
    ProcessFamilies,
):
    """One process's metric families on one registry; attributes carry the name without its prefix."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        # One more series for every counter and histogram, which nobody here asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        super().__init__(registry or CollectorRegistry())
        self._stream()
        self._rows()
        self._ledger()
        self._write()
        self._rest()
        self._rate_limits()
        self._backfill()
        self._process()
        self._retention()
        self._futures_metrics()
        self._metric_files()
        self._funding()
        self._alpha()
        self._trades()
        self._archive()
        self._tasks()
        self._swaps()
        self._api()
