"""The archive's layout, written down a second time for tests that need no adapter."""

from __future__ import annotations

from datetime import date

from src.model import ArchiveFile, Dataset, Span


class PlainLayout:
    """``ports.ArchiveLayout`` for candles."""

    def file(self, dataset: Dataset, span: Span, folder: str, symbol: str, day: date) -> ArchiveFile:
        first = day.replace(day=1) if span is Span.MONTHLY else day
        label = f"{first:%Y-%m}" if span is Span.MONTHLY else first.isoformat()
        path = f"data/futures/um/{span}/klines/{folder}/1m/{folder}-1m-{label}.zip"
        return ArchiveFile(path, dataset, symbol, span, first)
