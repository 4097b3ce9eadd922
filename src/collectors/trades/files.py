"""Imports one file of trades on request: the newest that lies in a person's folder, else the archive's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ...errors import BadData, NotPublished
from ...model import ArchiveFile, Dataset, Span
from ...ports import Archive, ArchiveLayout, Clock
from ...ports.trades import Collected, TradeFiles

_DAYS_BACK = 10
"""How far back the newest published day is looked for: files come the next morning, some a week late."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True, slots=True)
class TradeMarket:
    """One market's archive, and who puts its files into the database."""

    archive: Archive
    layout: ArchiveLayout
    files: TradeFiles


class TradeCollection:
    """``ports.trades.TradeCollector``. ``folder`` is the person's (None: there is none), ``downloads`` takes what is
    fetched, in a folder for each market (their files have the same names), which does not stay. ``markets`` by their
    words: ``spot``, ``futures``."""

    def __init__(
        self, markets: Mapping[str, TradeMarket], folder: Path | None, downloads: Path, clock: Clock
    ) -> None:
        self._markets = markets
        self._folder = folder
        self._downloads = downloads
        self._clock = clock

    async def collect(
        self,
        symbol: str,
        market: str,
        *,
        label: str | None,
        percentage: float,
        piece_rows: int,
        tell: Callable[[str], Awaitable[None]],
    ) -> Collected:
        """See ``ports.trades.TradeCollector``."""
        if market not in self._markets:
            raise BadData(f"market {market!r}: must be one of {', '.join(self._markets)}", reason="market")
        place = self._markets[market]
        own = await asyncio.to_thread(newest_file, self._folder, symbol, label)
        if own is not None:
            await tell(f"importing {percentage:g} % of {own}")
            file = ArchiveFile(own.name, Dataset.TRADES, symbol, Span.DAILY, date(1970, 1, 1))
            result = await place.files.import_trades(
                file, own, "", percentage=percentage, piece_rows=piece_rows
            )
            return Collected(str(own), result)
        file, local, sha256 = await self._fetch(place, self._downloads / market, symbol, label)
        await tell(f"importing {percentage:g} % of {file.path}")
        try:
            result = await place.files.import_trades(
                file, local, sha256, percentage=percentage, piece_rows=piece_rows
            )
        finally:
            await asyncio.to_thread(local.unlink, missing_ok=True)
        return Collected(file.path, result)

    async def _fetch(
        self, place: TradeMarket, folder: Path, symbol: str, label: str | None
    ) -> tuple[ArchiveFile, Path, str]:
        """The named file, or the newest day that is published."""
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        candidates = self._candidates(label)
        for number, (span, day) in enumerate(candidates, start=1):
            file = place.layout.file(Dataset.TRADES, span, symbol, symbol, day)
            try:
                local, sha256 = await place.archive.fetch(file, folder)
            except NotPublished:
                if number == len(candidates):
                    raise
                continue
            return file, local, sha256
        raise NotPublished(
            f"{symbol}: the archive has no trades of {label or 'late'}", reason="not_published"
        )

    def _candidates(self, label: str | None) -> list[tuple[Span, date]]:
        if label is None:
            today = datetime.fromtimestamp(self._clock.now(), UTC).date()
            return [(Span.DAILY, today - timedelta(days=back)) for back in range(1, _DAYS_BACK + 1)]
        try:
            if _MONTH.fullmatch(label):
                return [(Span.MONTHLY, date.fromisoformat(f"{label}-01"))]
            if _DAY.fullmatch(label):
                return [(Span.DAILY, date.fromisoformat(label))]
        except ValueError:
            pass
        raise BadData(
            f"label {label!r}: write a day such as 2026-11-25 or a month such as 2026-11", reason="label"
        )


def newest_file(folder: Path | None, symbol: str, label: str | None) -> Path | None:
    """The file of the symbol's trades that was changed last, of those whose names hold ``label``; None without any.

    The label of a month does not mean a file of one of its days.

    ``ETHUSDT-aggTrades-2026-11-25.zip``, ``ethusdt_aggtrades.csv``. Raises ``BadData`` (``folder``).
    """
    if folder is None:
        return None
    named = re.compile(rf"{re.escape(symbol)}[-_ ]?aggTrades(?![A-Za-z0-9]).*\.(csv|zip)", re.IGNORECASE)
    labelled = re.compile(rf"{re.escape(label)}(?!-?[0-9])" if label else "")
    try:
        found = [
            (path.stat().st_mtime_ns, path.name, path)
            for path in folder.iterdir()
            if named.fullmatch(path.name) and path.is_file() and labelled.search(path.name)
        ]
    except OSError as error:
        raise BadData(f"COLLECT_DIR {folder}: {error.strerror or error}", reason="folder") from error
    return max(found)[2] if found else None
