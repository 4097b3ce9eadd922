"""What each consumer needs from the others, as Protocols of one to four methods.

Adapters satisfy them, collectors and jobs are written against them, ``wiring`` joins the two.
Lifecycle, the same everywhere: constructing does no I/O; ``open`` does; ``run`` works until cancelled and
re-raises ``CancelledError`` after letting go of what it holds; ``close`` may be called without ``open``
and twice.
"""

from __future__ import annotations

from .archive import Archive, ArchiveImporter, ArchiveLayout, ArchiveNotes, Verification
from .clock import Clock, SettableClock
from .ledger import CoverageAudit, CoverageLedger, CoverageNotes, Expirer, HoleFinder
from .listings import ArchivedListings, Listings
from .requests import BackfillRequests, ForeignRow, ForeignTable, TakeoverNotes
from .venue import CandleHandler, CandleStream, ContractHandler, History, Priority
from .writing import CandleSink, RepairSink, RoleLock

__all__ = [
    "Archive",
    "ArchiveImporter",
    "ArchiveLayout",
    "ArchiveNotes",
    "ArchivedListings",
    "BackfillRequests",
    "CandleHandler",
    "CandleSink",
    "CandleStream",
    "Clock",
    "ContractHandler",
    "CoverageAudit",
    "CoverageLedger",
    "CoverageNotes",
    "Expirer",
    "ForeignRow",
    "ForeignTable",
    "History",
    "HoleFinder",
    "Listings",
    "Priority",
    "RepairSink",
    "RoleLock",
    "SettableClock",
    "TakeoverNotes",
    "Verification",
]
