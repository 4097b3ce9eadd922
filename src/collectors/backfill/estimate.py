"""What a plan will cost: rows, bytes, weight, time; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .plan import Plan

_ZIP_BYTES_PER_ROW = 38
"""Of a kline file, header and directory included."""
STORED_BYTES_PER_ROW = 265
"""Of a candle with its key and its share of the ledger."""
_IMPORT_ROWS_PER_S = 150_000.0
_DOWNLOAD_BYTES_PER_S = 4_000_000.0
_SECONDS_PER_FILE = 0.15
"""Two requests for each file, several under way."""
_ROWS_PER_DAY = 1_440


@dataclass(frozen=True, slots=True)
class Estimate:
    """``rows`` to fill, ``files`` and ``requests`` to ask for, ``download_bytes`` and ``stored_bytes``, REST
    ``weight``, ``seconds`` at the budget given, and ``left``: minutes that nobody can be asked for now."""

    rows: int = 0
    files: int = 0
    requests: int = 0
    download_bytes: int = 0
    stored_bytes: int = 0
    weight: int = 0
    seconds: float = 0.0
    left: int = 0


def estimate(plans: Iterable[Plan], *, weight_per_minute: int, workers: int) -> Estimate:
    """All plans together."""
    costs = (
        Estimate(
            rows=plan.minutes,
            files=len(plan.files),
            requests=len(plan.requests),
            download_bytes=sum(_ROWS_PER_DAY * len(task.days) for task in plan.files) * _ZIP_BYTES_PER_ROW,
            weight=plan.weight,
            left=plan.left,
        )
        for plan in plans
    )
    return add_up(costs, weight_per_minute=weight_per_minute, workers=workers)


def add_up(costs: Iterable[Estimate], *, weight_per_minute: int, workers: int) -> Estimate:
    """Several estimates as one. REST and files run side by side, so the longer of both decides about the time."""
    rows = files = requests = download = weight = left = 0
    for cost in costs:
        rows += cost.rows
        files += cost.files
        requests += cost.requests
        download += cost.download_bytes
        weight += cost.weight
        left += cost.left
    by_rest = weight * 60 / weight_per_minute
    by_file = files * _SECONDS_PER_FILE / workers + download / _DOWNLOAD_BYTES_PER_S
    by_import = download / _ZIP_BYTES_PER_ROW / _IMPORT_ROWS_PER_S
    seconds = max(by_rest, by_file, by_import)
    return Estimate(rows, files, requests, download, rows * STORED_BYTES_PER_ROW, weight, seconds, left)
