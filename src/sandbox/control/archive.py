"""Control of the archive: files that are wrong, published anew, or without what the venue itself lost."""

from __future__ import annotations

from typing import Any

from ..archive.dirt import CONTENT, PROOF, SHARED_ROWS, TRANSPORT
from ..faults import Fault, Kind
from ..market.candles import MINUTE_MS
from .part import ControlPart


class ArchiveFaults(ControlPart):
    """Faults of the archive."""

    def archive(
        self,
        mode: str,
        *,
        path: str | None = None,
        count: int | None = None,
        share: float | None = None,
        member: str = "",
    ) -> Fault:
        """Archive files go wrong; ``path`` is a part of the key or a pattern (``*BTCUSDT-1m-2026-0?.zip``).

        On the way, ``count`` times: ``truncated``, ``bit_flip``, ``cut`` (the connection), ``stall`` (half comes,
        the rest when it is cleared), ``missing`` (404 although listed), ``html`` (status 200), ``s3_error`` (503);
        with ``path="archive-list"`` the last three meet the listing. ``checksum`` and ``no_checksum`` are about the
        CHECKSUM file. All others are inside the file until cleared, and its checksum is right. ``share`` is the part
        of the rows that ``gaps``, ``duplicates``, ``blank`` and ``zero_volume`` spoil (0.02), else of the requests.
        ``member`` is the name that ``evil_path`` gives the member, ``{stem}`` in it what it should be without ``.csv``.
        """
        if mode not in CONTENT | PROOF | TRANSPORT:
            raise ValueError(f"no such archive fault: {mode}")
        if mode in CONTENT and count is not None:
            raise ValueError(f"{mode} is inside the file, so it stays until it is cleared: leave count out")
        if member and mode != "evil_path":
            raise ValueError(f"{mode} leaves the member's name alone: leave member out")
        if share is None:
            share = SHARED_ROWS if mode in CONTENT else 1.0
        return self._faults.add(Kind.ARCHIVE, mode=mode, path=path, left=count, share=share, body=member)

    def republish(self, symbol: str, open_ms: int) -> dict[str, Any]:
        """The archive corrects a candle: its files of that minute have more volume and trades, a new checksum and
        LastModified. REST and ``truth`` keep the old row. Returns the times."""
        instrument = self._venue.universe.find(symbol)
        minute = open_ms // MINUTE_MS
        if not instrument.trades(minute):
            raise ValueError(f"{symbol} has no candle at {open_ms}")
        now = self._venue.clock.now_ms()
        self._venue.revisions.setdefault((symbol, minute), []).append(now)
        self._faults.count("republish")
        return {"symbol": symbol, "open_ms": minute * MINUTE_MS, "at_ms": now}

    def lose(self, symbol: str, from_ms: int, to_ms: int) -> int:
        """The venue itself lost the candles of [from_ms, to_ms): REST, archive and truth have none, for good.
        Returns how many minutes."""
        self._venue.universe.find(symbol)
        minutes = range(-(-from_ms // MINUTE_MS), -(-to_ms // MINUTE_MS))
        if not minutes:
            raise ValueError("no minutes from from_ms to to_ms")
        self._venue.lost.setdefault(symbol, set()).update(minutes)
        self._faults.count("lose", len(minutes))
        return len(minutes)
