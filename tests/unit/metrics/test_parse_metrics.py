"""Raw answers and archive days to rows that carry END labels, from recorded and from made-up input."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.binance.parse.metrics import archive_day, decimal, rest_metrics
from src.errors import BadData
from src.model import FIVE_MINUTES_MS, Authority, FuturesMetric
from src.ports.metrics import FileRows, MetricSeries

DAY = date(2023, 12, 12)
MIDNIGHT_MS = int(datetime(2023, 12, 12, tzinfo=UTC).timestamp()) * 1000
NOW_MS = 1_791_300_000_000
HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)


def parsed(
    series: MetricSeries, answer: object, *, symbol: str = "BTCUSDT", now_ms: int = NOW_MS
) -> FileRows[FuturesMetric]:
    return rest_metrics(series, symbol, answer, source="binance_rest", asked_ms=now_ms)


def line(label: datetime, *, symbol: str = "BTCUSDT", values: str = "10.5,20.25,1.1,1.2,1.3,0.9") -> str:
    return f"{label:%Y-%m-%d %H:%M:%S},{symbol},{values}"


def labels(first: int, count: int) -> list[datetime]:
    """``count`` labels every 5 min from the ``first`` 5 min of the day on."""
    start = datetime(2023, 12, 12, tzinfo=UTC)
    return [start + timedelta(minutes=5 * (first + number)) for number in range(count)]


def day_file(first: int, count: int = 288) -> str:
    return "\n".join([HEADER, *map(line, labels(first, count))]) + "\n"


@pytest.fixture(scope="module")
def recorded(market_data: Path) -> dict[str, Any]:
    answers = json.loads((market_data / "metrics" / "usdm_rest_answers_2026-10-06.json").read_text("utf-8"))
    assert isinstance(answers, dict)
    return answers


def test_recorded_open_interest_newest_first_with_the_new_column(recorded: dict[str, Any]) -> None:
    found = parsed(MetricSeries.OPEN_INTEREST, recorded["/futures/data/openInterestHist"])
    older, newer = found.rows
    assert (older.end_ms, newer.end_ms) == (1791284100000, 1791284400000)
    assert (newer.sum_open_interest, newer.sum_open_interest_value) == (
        Decimal("94731.04600000"),
        Decimal("8157280897.95540000"),
    )
    assert newer.count_long_short_ratio is None
    assert newer.authority is Authority.REST
    assert found.rejected == {}


def test_recorded_taker_ratio_has_no_symbol_and_is_start_labelled(recorded: dict[str, Any]) -> None:
    (row,) = parsed(MetricSeries.TAKER, recorded["/futures/data/takerlongshortRatio"]).rows
    assert (row.symbol, row.end_ms) == ("BTCUSDT", 1791283500000 + FIVE_MINUTES_MS)
    assert row.sum_taker_long_short_vol_ratio == Decimal("0.9752")


@pytest.mark.parametrize(
    ("series", "column"),
    [
        (MetricSeries.TOP_ACCOUNTS, "count_toptrader_long_short_ratio"),
        (MetricSeries.TOP_POSITIONS, "sum_toptrader_long_short_ratio"),
        (MetricSeries.ACCOUNTS, "count_long_short_ratio"),
    ],
)
def test_recorded_ratios_go_into_their_own_column(
    recorded: dict[str, Any], series: MetricSeries, column: str
) -> None:
    (row,) = parsed(series, recorded["/futures/data/topLongShortPositionRatio"]).rows
    assert row.end_ms == 1791280800000
    assert getattr(row, column) == Decimal("1.6855")
    assert [row.sum_open_interest, row.sum_taker_long_short_vol_ratio] == [None, None]


def test_a_quoted_timestamp_is_the_same_time() -> None:
    item = {"symbol": "BTCUSDT", "longShortRatio": "1.5"}
    quoted = parsed(MetricSeries.ACCOUNTS, [item | {"timestamp": "1791283500000"}])
    assert quoted == parsed(MetricSeries.ACCOUNTS, [item | {"timestamp": 1791283500000}])
    assert len(quoted.rows) == 1


def test_a_period_that_is_not_over_is_not_taken() -> None:
    start_ms = 1791283500000
    answer = [{"buySellRatio": "1.5", "timestamp": start_ms}]
    assert parsed(MetricSeries.TAKER, answer, now_ms=start_ms + FIVE_MINUTES_MS - 1).rows == ()
    assert len(parsed(MetricSeries.TAKER, answer, now_ms=start_ms + FIVE_MINUTES_MS).rows) == 1


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (3, "not_row"),
        ({"symbol": "ETHUSDT", "longShortRatio": "1", "timestamp": 1791283500000}, "other_symbol"),
        ({"longShortRatio": "NaN", "timestamp": 1791283500000}, "bad_number"),
        ({"longShortRatio": "-1", "timestamp": 1791283500000}, "bad_number"),
        ({"longShortRatio": 1.5, "timestamp": 1791283500000}, "bad_number"),
        ({"longShortRatio": "1", "timestamp": 1791283500001}, "off_grid"),
        ({"longShortRatio": "1", "timestamp": 1791283500}, "bad_time"),
        ({"longShortRatio": "1", "timestamp": True}, "bad_time"),
        ({"longShortRatio": "1"}, "bad_time"),
    ],
)
def test_a_bad_row_is_counted_and_the_others_live(item: object, reason: str) -> None:
    good = {"longShortRatio": "1.5", "timestamp": 1791283200000}
    found = parsed(MetricSeries.ACCOUNTS, [item, good])
    assert [row.count_long_short_ratio for row in found.rows] == [Decimal("1.5")]
    assert found.rejected == {reason: 1}


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(BadData, match="not a list"):
        parsed(MetricSeries.TAKER, {"code": 0})


def test_end_labels_stay() -> None:
    found = archive_day(day_file(1), "BTCUSDT", DAY)
    assert not found.start_labelled
    assert [row.end_ms for row in found.rows] == [MIDNIGHT_MS + n * FIVE_MINUTES_MS for n in range(1, 289)]


def test_start_labels_move_by_five_minutes_in_every_column() -> None:
    found = archive_day(day_file(0), "BTCUSDT", DAY)
    assert found.start_labelled
    assert [row.end_ms for row in found.rows] == [MIDNIGHT_MS + n * FIVE_MINUTES_MS for n in range(1, 289)]
    assert found.rows == archive_day(day_file(1), "BTCUSDT", DAY).rows


@pytest.mark.parametrize(("first", "count"), [(1, 287), (0, 289), (-1, 288), (2, 288), (100, 50)], ids=str)
def test_labels_that_cannot_be_told_are_refused(first: int, count: int) -> None:
    with pytest.raises(BadData) as caught:
        archive_day(day_file(first, count), "BTCUSDT", DAY)
    assert caught.value.reason == "labels"


def test_a_file_cut_short_is_told_by_the_midnight_it_has() -> None:
    found = archive_day(day_file(0, 162), "BTCUSDT", DAY)
    assert found.rows[-1].end_ms == MIDNIGHT_MS + 162 * FIVE_MINUTES_MS


def test_a_file_of_an_earlier_listing_may_bear_the_name_of_its_folder() -> None:
    text = day_file(1).replace("BTCUSDT", "BTCUSDTSETTLED")
    found = archive_day(text, "BTCUSDT", DAY, folder_symbol="BTCUSDTSETTLED")
    assert {row.symbol for row in found.rows} == {"BTCUSDT"}
    assert len(found.rows) == 288


def test_blank_is_none_and_never_zero() -> None:
    text = HEADER + "\n" + line(labels(0, 1)[0], values='10.5,"",,1.2,1.3,0') + "\n\n"
    (row,) = archive_day(text, "BTCUSDT", DAY).rows
    assert row.sum_open_interest_value is None
    assert row.count_toptrader_long_short_ratio is None
    assert row.sum_taker_long_short_vol_ratio == 0


@given(st.randoms(use_true_random=False), st.integers(0, 20), st.sampled_from([0, 1]))
def test_order_repetition_and_spelling_change_nothing(random: Any, repeated: int, first: int) -> None:
    lines = [line(label) for label in labels(first, 288)]
    dirty = lines + random.choices(lines, k=repeated)
    random.shuffle(dirty)
    head = random.choice([[HEADER], []])
    text = random.choice(["", "\ufeff"]) + random.choice(["\n", "\r\n"]).join([*head, *dirty])
    found = archive_day(text, "BTCUSDT", DAY)
    assert sorted(set(found.rows), key=lambda row: row.end_ms) == list(
        archive_day(day_file(first), "BTCUSDT", DAY).rows
    )
    assert found.rejected == ({"duplicate": repeated} if repeated else {})


def test_bad_rows_of_a_file_are_counted_by_reason() -> None:
    odd = labels(0, 1)[0] + timedelta(seconds=7)
    extra = [
        line(odd),
        line(labels(5, 1)[0], symbol="ETHUSDT"),
        "2023-12-12 00:30:00,BTCUSDT,1",
        "nonsense,BTCUSDT,,,,,,",
    ]
    found = archive_day(day_file(0) + "\n".join(extra), "BTCUSDT", DAY)
    assert len(found.rows) == 288
    assert found.rejected == {"off_grid": 1, "other_symbol": 1, "short_row": 1, "bad_time": 1}


@pytest.mark.parametrize(("text", "reason"), [("", "empty"), (HEADER, "empty"), ("a,b,c\n1,2,3", "columns")])
def test_a_file_that_is_no_metrics_file(text: str, reason: str) -> None:
    with pytest.raises(BadData) as caught:
        archive_day(text, "BTCUSDT", DAY)
    assert caught.value.reason == reason


def test_the_real_rows_are_read_digit_for_digit(market_data: Path) -> None:
    """54 rows of a real day, with the file's last label put behind them, without which nothing could be told."""
    real = (market_data / "metrics" / "BTCUSDT-metrics-2023-12-12-1930-2355.csv").read_text("utf-8")
    text = real.rstrip("\n") + "\n2023-12-13 00:00:00,BTCUSDT,,,,,,\n"
    found = archive_day(text, "BTCUSDT", DAY)
    first = found.rows[0]
    assert len(found.rows) == 55
    assert first.end_ms == MIDNIGHT_MS + (19 * 12 + 6) * FIVE_MINUTES_MS
    assert [str(first.sum_open_interest), str(first.sum_open_interest_value)] == [
        "78890.464",
        "3240036003.743675",
    ]
    assert str(first.sum_taker_long_short_vol_ratio) == "0.59219416"
    with pytest.raises(BadData, match="neither midnight"):
        archive_day(real, "BTCUSDT", DAY)


@given(st.text(max_size=60))
def test_whatever_a_cell_holds_it_is_a_number_or_refused(text: str) -> None:
    try:
        value = decimal(text)
    except BadData:
        return
    assert value is None or (value >= 0 and value.is_finite())


def test_a_short_row_under_a_header_with_more_columns_is_counted() -> None:
    first, second = labels(0, 2)
    text = f"more,{HEADER}\nx,{line(first)}\nx,{line(second, values='1,2,3,4,5')}\n"
    assert dict(archive_day(text, "BTCUSDT", DAY).rejected) == {"short_row": 1}


def test_a_quote_that_is_never_closed_is_no_csv() -> None:
    with pytest.raises(BadData) as caught:
        archive_day(HEADER + '\n"' + "x\n" * 200_000, "BTCUSDT", DAY)
    assert caught.value.reason == "columns"
