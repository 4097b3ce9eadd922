"""Where the venue's archive keeps what: ``ArchiveFile`` to path and back, pure.

    data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01.zip
    data/futures/um/daily/metrics/BTCUSDT/BTCUSDT-metrics-2024-01-31.zip
    data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-01.zip
    data/spot/daily/aggTrades/ETHUSDT/ETHUSDT-aggTrades-2024-01-31.zip

There are no monthly metrics and no daily funding rates. A contract that was settled before its symbol was listed
again lies in a folder of another name (``CTKUSDTSETTLED``, ``ICPUSDT_SETTLED``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote

from ....errors import BadData
from ....model import ArchiveFile, Dataset, Span
from ..parse.messages import symbol_name

ROOT = "data/futures/um"
SPOT_ROOT = "data/spot"
CHECKSUM_SUFFIX = ".CHECKSUM"

_SETTLED = re.compile(r"_?SETTLED\Z")
_LABELS = {
    Span.DAILY: re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})"),
    Span.MONTHLY: re.compile(r"([0-9]{4})-([0-9]{2})"),
}


@dataclass(frozen=True, slots=True)
class _Place:
    """``kind`` is the folder of the dataset, ``inner`` the folder below the symbol, ``word`` the one in the name."""

    kind: str
    inner: str
    word: str
    spans: tuple[Span, ...]


_PLACES = {
    Dataset.CANDLES: _Place("klines", "1m/", "1m", (Span.DAILY, Span.MONTHLY)),
    Dataset.METRICS: _Place("metrics", "", "metrics", (Span.DAILY,)),
    Dataset.FUNDING: _Place("fundingRate", "", "fundingRate", (Span.MONTHLY,)),
    Dataset.TRADES: _Place("aggTrades", "", "aggTrades", (Span.DAILY, Span.MONTHLY)),
}


class BinanceLayout:
    """``ports.ArchiveLayout``: the file of a dataset, a folder and a day or month; whether it exists is not known.

    ``root`` is the market's part of the archive.
    """

    def __init__(self, root: str = ROOT) -> None:
        self._root = root

    def file(self, dataset: Dataset, span: Span, folder: str, symbol: str, day: date) -> ArchiveFile:
        """The file that holds ``day``. Raises ``ValueError`` for a span that is never published."""
        first = day.replace(day=1) if span is Span.MONTHLY else day
        label = f"{first:%Y-%m}" if span is Span.MONTHLY else first.isoformat()
        prefix = folder_prefix(dataset, span, folder, self._root)
        path = f"{prefix}{folder}-{_place(dataset, span).word}-{label}.zip"
        return ArchiveFile(path, dataset, symbol, span, first)


def dataset_prefix(dataset: Dataset, span: Span, root: str = ROOT) -> str:
    """The folder of all symbols, with its slash. Raises ``ValueError`` for a span that is never published."""
    return f"{root}/{span}/{_place(dataset, span).kind}/"


def folder_prefix(dataset: Dataset, span: Span, folder: str, root: str = ROOT) -> str:
    """The folder of one symbol's files, with its slash."""
    return f"{dataset_prefix(dataset, span, root)}{folder}/{_place(dataset, span).inner}"


def symbol_of(folder: str) -> str:
    """Our name of the contract in a folder: ``CTKUSDTSETTLED`` holds the earlier listing of ``CTKUSDT``."""
    return _SETTLED.sub("", folder) or folder


def file_of(path: str, dataset: Dataset, span: Span, folder: str) -> ArchiveFile:
    """The file behind a listed key of that folder. Raises ``BadData`` (``name``) for any other key.

    data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-31.zip
    """
    start = f"{folder_prefix(dataset, span, folder)}{folder}-{_place(dataset, span).word}-"
    label = _LABELS[span].fullmatch(path.removeprefix(start).removesuffix(".zip"))
    if not path.startswith(start) or not path.endswith(".zip") or label is None:
        raise BadData(f"not a file of {folder}: {path!r:.200}", reason="name")
    try:
        year, month, *rest = map(int, label.groups())
        first = date(year, month, *(rest or [1]))
    except ValueError:
        raise BadData(f"no such day: {path!r:.200}", reason="name") from None
    return ArchiveFile(path, dataset, symbol_of(folder), span, first)


def folder_of(prefix: str, dataset: Dataset, span: Span) -> str:
    """The folder's name in a listed common prefix. Raises ``BadData`` for what cannot be a symbol.

    data/futures/um/daily/klines/BTCUSDT/
    """
    return symbol_name(prefix.removeprefix(dataset_prefix(dataset, span)).removesuffix("/"))


def url_path(path: str) -> str:
    """``path`` as it stands in a URL: UTF-8, percent-encoded."""
    return quote(path, safe="/")


def file_name(file: ArchiveFile) -> str:
    """The last part of the path, which no other file of the same market has: each market needs a folder of its own."""
    return file.path.rpartition("/")[2]


def member_name(file: ArchiveFile) -> str:
    """The one member that the ZIP holds."""
    return file_name(file).removesuffix(".zip") + ".csv"


def _place(dataset: Dataset, span: Span) -> _Place:
    place = _PLACES[dataset]
    if span not in place.spans:
        raise ValueError(f"the archive has no {span} files of {dataset}")
    return place
