"""The coverage ledger: what is due, what is there, what is not, and who keeps it true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

from ..model import ArchiveFile, CoverageDay, Dataset, Expired, Gap, Listing


class HoleFinder(Protocol):
    """Finds the minutes that are not stored.

    ``holes`` looks at [since[symbol], until_ms) for each symbol, exact to the minute, merged into the fewest
    gaps, ordered by symbol and time. Raises ``Retryable`` or ``Misconfigured``.
    """

    async def holes(self, since: Mapping[str, int], until_ms: int) -> list[Gap]: ...


class CoverageLedger(Protocol):
    """What is there and what is not, day by day (docs/adr/0020-coverage-ledger.md).

    ``follow`` sets what is due for every day of ``listings`` up to and including the day of ``until_ms``; repeating
    it changes nothing. ``open_days`` are the days in [since, until] that are incomplete or dirty, ordered by symbol and
    day. ``holes`` are the rows of those days that are neither stored nor proved absent and lie before ``until_ms``,
    exact, merged into the fewest gaps. ``recount`` counts days anew and cleans dirty ones.
    All raise ``Retryable`` or ``Misconfigured``.
    """

    async def follow(self, dataset: Dataset, listings: Sequence[Listing], until_ms: int) -> None: ...

    async def open_days(self, dataset: Dataset, since: date, until: date) -> list[CoverageDay]: ...

    async def holes(self, dataset: Dataset, days: Sequence[CoverageDay], until_ms: int) -> list[Gap]: ...

    async def recount(self, days: Sequence[CoverageDay]) -> None: ...


class CoverageNotes(Protocol):
    """What the patrol writes down about days it could not complete.

    ``looked`` sets when the days may be looked at again and counts the attempt. ``mark_absent`` records rows
    (``ts_ms``, starts of minutes) that neither ``file``, verified by ``sha256``, nor REST asked at ``asked_ms`` has.
    ``absences_due`` are the absent rows from ``since_ms`` on whose next asking has come; ``postpone_absences`` puts off
    those of ``gaps`` that are due still.
    """

    async def looked(self, days: Sequence[CoverageDay], next_look_ms: int) -> None: ...

    async def mark_absent(
        self, file: ArchiveFile, sha256: str, ts_ms: Sequence[int], asked_ms: int
    ) -> None: ...

    async def absences_due(
        self, dataset: Dataset, now_ms: int, limit: int, *, since_ms: int = 0
    ) -> list[Gap]: ...

    async def postpone_absences(
        self, dataset: Dataset, gaps: Sequence[Gap], now_ms: int, next_ask_ms: int
    ) -> None: ...


class CoverageAudit(Protocol):
    """Counts a thirtieth of all days a day anew, so that no wrong line of the ledger lives longer than a month.

    ``audit`` does what is due of today's share by ``now_ms`` and returns how many lines were wrong; they are mended,
    counted and logged. Raises ``Retryable`` or ``Misconfigured``.
    """

    async def audit(self, now_ms: int) -> int: ...


class Expirer(Protocol):
    """Drops what retention no longer keeps, and says so in the ledger, in one transaction.

    ``expire`` drops the chunks that end before ``before_ms`` and sets *expired* for every day before it; repeating it
    changes nothing. Raises ``Retryable`` or ``Misconfigured``, and ``BadData`` for a bound within the last seven days.
    """

    async def expire(self, before_ms: int) -> list[Expired]: ...
