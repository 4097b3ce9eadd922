"""Keys of archive files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.sandbox.archive.names import PLACES, FileName, labels, parse
from src.sandbox.market.past import DAY_MS


def test_the_key_of_the_facts() -> None:
    key = "data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2026-11-20.zip"
    name = parse(key)
    assert name == FileName("daily", "klines", "BTCUSDT", "2026-11-20")
    assert name is not None
    assert name.end_ms - name.first_ms == DAY_MS


@given(st.sampled_from(PLACES), st.sampled_from(["BTCUSDT", "币安人生USDT", "CTKUSDTSETTLED"]), st.dates())
def test_every_key_comes_back(place: tuple[str, str], folder: str, day: object) -> None:
    span, kind = place
    label = str(day) if span == "daily" else str(day)[:7]
    if label >= "9999-12":
        return
    name = FileName(span, kind, folder, label)
    assert parse(name.key) == name


@pytest.mark.parametrize(
    "key",
    [
        "data/futures/um/daily/klines/BTCUSDT/1m/ETHUSDT-1m-2026-11-20.zip",
        "data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2026-11.zip",
        "data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2026-02-30.zip",
        "data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2026-11-20.zip",
        "data/futures/um/monthly/metrics/BTCUSDT/BTCUSDT-metrics-2026-11.zip",
        "data/futures/um/daily/klines/BTCUSDT/5m/BTCUSDT-5m-2026-11-20.zip",
        "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2026-11-20.zip",
    ],
)
def test_what_the_archive_cannot_have(key: str) -> None:
    assert parse(key) is None


def test_days_and_months_of_a_time() -> None:
    first, end = 1_798_588_800_000, 1_798_588_800_000 + 3 * DAY_MS  # 2026-12-30
    assert labels("daily", first + 5, end) == ["2026-12-30", "2026-12-31", "2027-01-01"]
    assert labels("monthly", first, end) == ["2026-12", "2027-01"]
