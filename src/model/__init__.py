"""The values marketd moves about: frozen, slotted, with units in their docstrings.

Times are integer milliseconds since 1970-01-01 UTC, as the venue sends them, so that no float and no
time zone can shift a minute. Prices are in the quote asset, volumes in the base asset, quote volumes in
the quote asset, all ``float`` (exact to 15 significant digits, see docs/adr/0001-candles-are-float8.md).
"""

from __future__ import annotations

from .candles import Candle, Gap
from .history import ArchiveFile, BackfillRequest, CoverageDay, Expired, FileState, KnownFile, Span
from .listings import ContractChange, ContractStatus, Instrument, Listing
from .metrics import METRIC_COLUMNS, FundingRate, FuturesMetric
from .rows import Authority, Dataset, WriteResult
from .swaps import Block, BlockHeader, Pool, Swap, SwapRange
from .tasks import Task, TaskLine, TaskState
from .times import DAY_MS, FIVE_MINUTES_MS, MINUTE_MS, floor_minute
from .trades import FIRST_LISTING_MS, Trade, TradeGap, TradeListing, TradeReach, TradeResult, listing_of

__all__ = [
    "DAY_MS",
    "FIRST_LISTING_MS",
    "FIVE_MINUTES_MS",
    "METRIC_COLUMNS",
    "MINUTE_MS",
    "ArchiveFile",
    "Authority",
    "BackfillRequest",
    "Block",
    "BlockHeader",
    "Candle",
    "ContractChange",
    "ContractStatus",
    "CoverageDay",
    "Dataset",
    "Expired",
    "FileState",
    "FundingRate",
    "FuturesMetric",
    "Gap",
    "Instrument",
    "KnownFile",
    "Listing",
    "Pool",
    "Span",
    "Swap",
    "SwapRange",
    "Task",
    "TaskLine",
    "TaskState",
    "Trade",
    "TradeGap",
    "TradeListing",
    "TradeReach",
    "TradeResult",
    "WriteResult",
    "floor_minute",
    "listing_of",
]
