"""Raw messages become values or ``BadData``, nothing else."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.binance.parse import messages as parse
from src.adapters.binance.parse.messages import ParsedCandle
from src.errors import BadData
from src.model import Authority, Candle, ContractChange, ContractStatus

from .messages import CONTRACT, OPEN_MS, combined, kline, row

SUSHI = Candle(
    symbol="SUSHIUSDT",
    open_ms=OPEN_MS,
    open=7.608,
    high=7.618,
    low=7.607,
    close=7.617,
    volume=3005.0,
    quote_volume=22875.859,
    trade_count=113,
    taker_buy_volume=1900.0,
    taker_buy_quote_volume=14464.696,
    source="binance_ws",
    authority=Authority.STREAM,
)


def reason_of(event: object) -> str:
    with pytest.raises(BadData) as refused:
        parse.kline_event(event)
    return refused.value.reason


def test_every_column_of_a_closed_candle_is_kept() -> None:
    assert parse.kline_frame(combined(kline())) == ParsedCandle(SUSHI)


def test_a_raw_event_is_read_like_a_combined_one() -> None:
    assert parse.kline_frame(orjson.dumps(kline())) == ParsedCandle(SUSHI)


def test_an_open_minute_is_no_candle() -> None:
    assert parse.kline_frame(combined(kline(x=False))) is None


def test_a_symbol_may_be_chinese() -> None:
    parsed = parse.kline_frame(combined(kline("币安人生USDT")))
    assert parsed is not None
    assert parsed.candle.symbol == "币安人生USDT"


def test_a_minute_without_trades_is_a_candle() -> None:
    flat: dict[str, Any] = (
        dict.fromkeys("ohlc", "7.6080") | dict.fromkeys("vqVQ", "0") | {"n": 0, "f": -1, "L": -1}
    )
    parsed = parse.kline_event(kline(**flat))
    assert parsed is not None
    assert parsed.candle.values == (7.608, 7.608, 7.608, 7.608, 0.0, 0.0, 0, 0.0, 0.0)


def test_the_capture_of_2021_gives_its_four_candles(market_data: Path) -> None:
    frames = []
    with gzip.open(market_data / "ws" / "fstream-2021-07-22.ws.gz", "rt") as lines:
        frames = [line.split(": ", 1)[1] for line in lines if '"e":"kline"' in line]
    parsed = [parse.kline_frame(frame) for frame in frames]
    candles = [one.candle for one in parsed if one is not None]
    assert len(frames) == 67
    assert [(one.symbol, one.open_ms, *one.values) for one in candles] == [
        (SUSHI.symbol, SUSHI.open_ms, *SUSHI.values),
        ("CTKUSDT", OPEN_MS, 1.01, 1.012, 1.01, 1.012, 11074.0, 11193.49, 86, 8674.0, 8769.444),
        (
            "AKROUSDT",
            OPEN_MS,
            0.01731,
            0.01733,
            0.01731,
            0.01733,
            235736.0,
            4082.63755,
            29,
            101629.0,
            1760.37292,
        ),
        ("KEEPUSDT", OPEN_MS, 0.2463, 0.2466, 0.2458, 0.2466, 8464.0, 2082.4799, 14, 344.0, 84.767),
    ]
    assert not any(one.inexact for one in parsed if one is not None)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"o": "NaN"}, "bad_number"),
        ({"h": "Infinity"}, "bad_number"),
        ({"v": "1e400"}, "bad_number"),
        ({"q": "1e3"}, "bad_number"),
        ({"l": ""}, "bad_number"),
        ({"l": None}, "bad_number"),
        ({"l": "7_6"}, "bad_number"),
        ({"l": "٧.6"}, "bad_number"),
        ({"o": 7.608}, "bad_number"),
        ({"n": True}, "bad_number"),
        ({"n": -1}, "bad_number"),
        ({"n": "113"}, "bad_number"),
        ({"n": 2**63}, "bad_number"),
        ({"h": "7.6169"}, "bad_price"),
        ({"l": "7.6081"}, "bad_price"),
        ({"l": "0"}, "bad_price"),
        ({"l": "-1"}, "bad_price"),
        ({"v": "-1"}, "bad_volume"),
        ({"V": "3005.1"}, "bad_volume"),
        ({"V": "-0.1"}, "bad_volume"),
        ({"Q": "22876"}, "bad_volume"),
        ({"t": OPEN_MS + 1, "T": OPEN_MS + 60_000}, "bad_time"),
        ({"t": OPEN_MS // 1000, "T": OPEN_MS // 1000 + 59}, "bad_time"),
        ({"t": OPEN_MS * 1000, "T": OPEN_MS * 1000 + 59_999_999}, "time_unit"),
        ({"t": str(OPEN_MS)}, "bad_time"),
        ({"t": float(OPEN_MS)}, "bad_time"),
        ({"T": OPEN_MS + 60_000}, "bad_time"),
        ({"i": "5m"}, "bad_interval"),
        ({"x": "true"}, "not_kline"),
        ({"s": "BTCUSDT"}, "bad_symbol"),
    ],
)
def test_an_unusable_candle_is_refused_with_its_reason(changed: dict[str, Any], reason: str) -> None:
    assert reason_of(kline() | {"k": kline()["k"] | changed}) == reason


@pytest.mark.parametrize(
    "symbol", ["", "A" * 41, "BTC\x00USDT", "BTC USDT", "BTC/USDT", "a@b", "\ud800USDT", 5, None]
)
def test_what_cannot_be_a_symbol_is_refused(symbol: object) -> None:
    assert reason_of(kline() | {"s": symbol}) == "bad_symbol"


@pytest.mark.parametrize(
    "event", [None, [], 5, "kline", {}, {"e": "kline"}, {"e": "kline", "k": []}, {"e": "trade"}]
)
def test_what_is_no_kline_is_refused(event: object) -> None:
    assert reason_of(event) == "not_kline"


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b'{"e":NaN}',
        b'{"e":Infinity}',
        b'{"e":"\xff"}',
        b'{"e":"\\ud800"}',
        b"[" * 100_000,
        combined(kline())[:-10],
    ],
)
def test_what_is_no_json_is_refused(frame: bytes) -> None:
    with pytest.raises(BadData) as refused:
        parse.kline_frame(frame)
    assert refused.value.reason == "not_json"


def test_a_minute_must_end_before_the_latest_time_allowed() -> None:
    end = OPEN_MS + 60_000
    assert parse.kline_event(kline(), latest_ms=end) is not None
    with pytest.raises(BadData) as refused:
        parse.kline_event(kline(), latest_ms=end - 1)
    assert refused.value.reason == "future_time"


def test_a_rest_row_is_the_same_candle_with_its_own_label() -> None:
    parsed = parse.kline_row("SUSHIUSDT", row(), source="binance_rest", authority=Authority.REST)
    assert parsed.candle.values == SUSHI.values
    assert (parsed.candle.source, parsed.candle.authority) == ("binance_rest", Authority.REST)


@pytest.mark.parametrize("bad", [None, "row", b"row", [], row()[:10], {"t": 1}])
def test_what_is_no_rest_row_is_refused(bad: object) -> None:
    with pytest.raises(BadData):
        parse.kline_row("SUSHIUSDT", bad, source="binance_rest", authority=Authority.REST)


def test_a_number_with_more_digits_than_a_float_keeps_is_named() -> None:
    parsed = parse.kline_event(kline(q="1234567890.1234567", Q="1.0000000000000000000"))
    assert parsed is not None
    assert parsed.inexact == ("quote_volume",)


@given(st.decimals(min_value=0, max_value=10**12, allow_nan=False, allow_infinity=False, places=8))
def test_a_number_called_exact_is_exact(value: Any) -> None:
    text = f"{value:f}"
    if parse.is_exact(text):
        digits = f"{parse.number(text):.15g}"
        assert type(value)(digits) == value


def test_a_contract_event_is_read() -> None:
    assert parse.contract_change({"stream": "!contractInfo", "data": CONTRACT}) == ContractChange(
        symbol="IOTAUSDT",
        contract_type="PERPETUAL",
        status=ContractStatus.TRADING,
        onboard_ms=1_569_398_400_000,
        delivery_ms=4_133_404_800_000,
        event_ms=1_669_647_330_393,
    )


def test_an_unknown_status_is_other() -> None:
    assert parse.contract_change(CONTRACT | {"cs": "NEW_WORD"}).status is ContractStatus.OTHER


@pytest.mark.parametrize(
    "changed", [{"e": "kline"}, {"ct": None}, {"ot": "0"}, {"dt": -1}, {"E": 1.5}, {"s": "a b"}]
)
def test_an_unusable_contract_event_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(BadData):
        parse.contract_change(CONTRACT | changed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_candle_or_refused(frame: bytes) -> None:
    try:
        parsed = parse.kline_frame(frame)
    except BadData:
        return
    assert parsed is None or isinstance(parsed, ParsedCandle)


@given(JSON)
def test_any_document_is_a_candle_or_refused(document: object) -> None:
    for read in (parse.kline_event, parse.contract_change):
        with pytest.raises(BadData):
            read(parse.payload_of(document))


@given(st.dictionaries(st.sampled_from(list("tTsiohlcvnxqVQ")), JSON, min_size=1, max_size=4))
def test_any_change_to_a_kline_gives_a_sound_candle_or_is_refused(changed: dict[str, Any]) -> None:
    try:
        parsed = parse.kline_event(kline() | {"k": kline()["k"] | changed})
    except BadData:
        return
    if parsed is not None:
        candle = parsed.candle
        assert candle.low <= min(candle.open, candle.close)
        assert candle.high >= max(candle.open, candle.close)
        assert None not in candle.values
        assert candle.open_ms % 60_000 == 0
