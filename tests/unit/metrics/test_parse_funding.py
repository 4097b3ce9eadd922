"""Settlements of funding: recorded answers, old rows, monthly files."""

from __future__ import annotations

import csv
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from src.adapters.binance.parse.funding import archive_month, funding_intervals, rest_funding
from src.errors import BadData
from src.model import Authority

OLD = {"symbol": "ETHUSDT", "fundingTime": 1577865600000, "fundingRate": "0.00010000", "markPrice": ""}
MONTH = "calc_time,funding_interval_hours,last_funding_rate\n1704067200000,8,0.00037409\n1704096000002,4,-0.00001\n"


def test_the_recorded_answer(market_data: Path) -> None:
    text = (market_data / "metrics" / "usdm_rest_answers_2026-10-06.json").read_text("utf-8")
    found = rest_funding(json.loads(text)["/fapi/v1/fundingRate"], source="binance_rest")
    (row,) = found.rows
    assert (row.symbol, row.funding_ms, row.rate) == ("BTCUSDT", 1791244800003, Decimal("-0.00002485"))
    assert row.mark_price == Decimal("85718.55362319")
    assert row.interval_hours is None
    assert found.rejected == {}


def test_recorded_rows_come_out_as_they_went_in(market_data: Path) -> None:
    with (market_data / "metrics" / "BTCUSDT-1h-funding_rate.csv").open(encoding="utf-8") as file:
        raw = [{**row, "fundingTime": int(row["fundingTime"])} for row in csv.DictReader(file)]
    rows = rest_funding(raw[::-1], source="binance_rest").rows
    assert [(row.funding_ms, f"{row.rate:f}", f"{row.mark_price:f}") for row in rows] == [
        (one["fundingTime"], one["fundingRate"], one["markPrice"]) for one in raw
    ]


def test_an_old_row_has_no_mark_price() -> None:
    (row,) = rest_funding([OLD], source="binance_rest").rows
    assert row.mark_price is None
    (row,) = rest_funding([OLD | {"markPrice": "0.00000000"}], source="binance_rest").rows
    assert row.mark_price is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fundingRate": "NaN"}, "bad_number"),
        ({"fundingRate": ""}, "bad_number"),
        ({"fundingTime": "soon"}, "bad_time"),
        ({"fundingTime": 1577865600}, "bad_time"),
        ({"symbol": "A/B"}, "bad_symbol"),
        ({"markPrice": "-1"}, "bad_price"),
    ],
)
def test_bad_rows_are_counted(change: dict[str, object], reason: str) -> None:
    found = rest_funding([OLD | change, OLD], source="binance_rest")
    assert len(found.rows) == 1
    assert found.rejected == {reason: 1}


def test_intervals() -> None:
    answer = [
        {"symbol": "BLZUSDT", "fundingIntervalHours": 4, "disclaimer": False},
        {"symbol": "AUSDT", "fundingIntervalHours": 0},
        {"symbol": "BUSDT"},
        3,
    ]
    assert funding_intervals(answer) == {"BLZUSDT": 4}
    with pytest.raises(BadData):
        funding_intervals({"code": 1})


@pytest.mark.parametrize(
    "text", [MONTH, MONTH.replace("\n", "\r\n"), "\ufeff" + MONTH, MONTH.split("\n", 1)[1]]
)
def test_a_monthly_file_has_the_true_intervals(text: str) -> None:
    found = archive_month(text, "BTCUSDT", date(2024, 1, 1))
    assert [(row.funding_ms, str(row.rate), row.interval_hours) for row in found.rows] == [
        (1704067200000, "0.00037409", 8),
        (1704096000002, "-0.00001", 4),
    ]
    assert {row.authority for row in found.rows} == {Authority.ARCHIVE}


def test_rows_of_another_month_are_left_out() -> None:
    found = archive_month(MONTH + "1706745600000,8,0.1\n1704067200000,99,0.1\n", "BTCUSDT", date(2024, 1, 1))
    assert len(found.rows) == 2
    assert found.rejected == {"outside_month": 1, "bad_interval": 1}


@pytest.mark.parametrize(("text", "reason"), [("", "empty"), ("x,y\n1,2\n", "columns")])
def test_what_is_no_file_of_funding(text: str, reason: str) -> None:
    with pytest.raises(BadData) as caught:
        archive_month(text, "BTCUSDT", date(2024, 1, 1))
    assert caught.value.reason == reason


@pytest.mark.parametrize(("stamp", "hours"), [("9" * 5000, "8"), ("1704067200000", "9" * 5000)])
def test_a_number_without_end_is_none(stamp: str, hours: str) -> None:
    good = "1704067200000,8,0.1"
    found = archive_month(f"{good}\n{stamp},{hours},0.1", "BTCUSDT", date(2024, 1, 1))
    assert len(found.rows) + sum(found.rejected.values()) == 2
