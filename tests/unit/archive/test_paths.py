"""Paths of the archive, there and back."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.binance.archive import paths
from src.errors import BadData
from src.model import ArchiveFile, Dataset, Span

_PUBLISHED = [
    (Dataset.CANDLES, Span.DAILY, "daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02-29.zip"),
    (Dataset.CANDLES, Span.MONTHLY, "monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02.zip"),
    (Dataset.METRICS, Span.DAILY, "daily/metrics/BTCUSDT/BTCUSDT-metrics-2024-02-29.zip"),
    (Dataset.FUNDING, Span.MONTHLY, "monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-02.zip"),
]
LAYOUT = paths.BinanceLayout()


@pytest.mark.parametrize(("dataset", "span", "path"), _PUBLISHED)
def test_the_paths_are_the_venues(dataset: Dataset, span: Span, path: str) -> None:
    file = LAYOUT.file(dataset, span, "BTCUSDT", "BTCUSDT", date(2024, 2, 29))
    assert file.path == f"data/futures/um/{path}"
    assert file.first_day == (date(2024, 2, 1) if span is Span.MONTHLY else date(2024, 2, 29))


@given(
    kind=st.sampled_from(_PUBLISHED),
    folder=st.sampled_from(["BTCUSDT", "1000PEPEUSDT", "币安人生USDT", "CTKUSDTSETTLED", "ICPUSDT_SETTLED"]),
    day=st.dates(date(2019, 9, 1), date(2100, 1, 1)),
)
def test_a_path_gives_its_file_back(kind: tuple[Dataset, Span, str], folder: str, day: date) -> None:
    dataset, span, _ = kind
    file = LAYOUT.file(dataset, span, folder, paths.symbol_of(folder), day)
    assert paths.file_of(file.path, dataset, span, folder) == file


@pytest.mark.parametrize(
    ("folder", "symbol"),
    [
        ("CTKUSDTSETTLED", "CTKUSDT"),
        ("ICPUSDT_SETTLED", "ICPUSDT"),
        ("BTCUSDT", "BTCUSDT"),
        ("SETTLED", "SETTLED"),
    ],
)
def test_a_settled_folder_holds_the_symbol_of_its_stem(folder: str, symbol: str) -> None:
    assert paths.symbol_of(folder) == symbol


@pytest.mark.parametrize(
    "name",
    [
        "BTCUSDT-1m-2024-02-30.zip",
        "BTCUSDT-1m-2024-02.zip",
        "BTCUSDT-1m-2024-02-29.zip.CHECKSUM",
        "ETHUSDT-1m-2024-02-29.zip",
        "BTCUSDT-5m-2024-02-29.zip",
        "../BTCUSDT-1m-2024-02-29.zip",
        "",
    ],
)
def test_a_key_that_is_no_file_of_the_folder_is_refused(name: str) -> None:
    with pytest.raises(BadData, match="no"):
        paths.file_of(
            f"data/futures/um/daily/klines/BTCUSDT/1m/{name}", Dataset.CANDLES, Span.DAILY, "BTCUSDT"
        )


@pytest.mark.parametrize(
    ("dataset", "span"), [(Dataset.METRICS, Span.MONTHLY), (Dataset.FUNDING, Span.DAILY)]
)
def test_what_is_never_published_is_not_asked_for(dataset: Dataset, span: Span) -> None:
    with pytest.raises(ValueError, match="no"):
        LAYOUT.file(dataset, span, "BTCUSDT", "BTCUSDT", date(2024, 1, 1))


def test_chinese_symbols_are_percent_encoded_and_members_are_named_after_the_file() -> None:
    file = LAYOUT.file(Dataset.CANDLES, Span.MONTHLY, "币安USDT", "币安USDT", date(2026, 1, 1))
    assert paths.url_path(file.path).startswith(
        "data/futures/um/monthly/klines/%E5%B8%81%E5%AE%89USDT/1m/%E5"
    )
    assert paths.member_name(file) == "币安USDT-1m-2026-01.csv"
    assert isinstance(file, ArchiveFile)
