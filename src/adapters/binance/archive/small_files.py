"""Reads the archive's small files (a day of metrics, a month of funding): a thread is enough for 288 rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ....errors import BadData
from ....model import ArchiveFile, FundingRate, FuturesMetric
from ....ports.metrics import FileRows
from ..parse.funding import archive_month
from ..parse.metrics import archive_day
from .paths import member_name
from .zip import ZipLimits, read_member

_LIMITS = ZipLimits(packed=1 << 20, unpacked=8 << 20, ratio=200)
"""A day of metrics has 30 kB and packs into 8; an hourly month of funding has 20 kB."""

_T = TypeVar("_T")


class SmallFileReader:
    """``ports.metrics.SmallFiles``."""

    async def metrics(self, file: ArchiveFile, local: Path) -> FileRows[FuturesMetric]:
        """The rows of one day, with END labels."""

        def parse(text: str) -> FileRows[FuturesMetric]:
            return archive_day(text, file.symbol, file.first_day, folder_symbol=file.path.split("/")[-2])

        return await asyncio.to_thread(_read, file, local, parse)

    async def funding(self, file: ArchiveFile, local: Path) -> FileRows[FundingRate]:
        """The rows of one month."""

        def parse(text: str) -> FileRows[FundingRate]:
            return archive_month(text, file.symbol, file.first_day)

        return await asyncio.to_thread(_read, file, local, parse)


def _read(file: ArchiveFile, local: Path, parse: Callable[[str], _T]) -> _T:
    data = read_member(local, member_name(file), _LIMITS)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadData(f"{local.name}: not UTF-8: {error.reason}", reason="encoding") from None
    return parse(text)
