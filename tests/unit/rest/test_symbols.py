from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.binance.symbols import ExchangeInfo, parse_exchange_info
from src.errors import MarketdError, Unavailable
from src.model import ContractStatus


def entry(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "contractType": "PERPETUAL",
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "onboardDate": 1_569_398_400_000,
        "deliveryDate": 4_133_404_800_000,
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001"},
        ],
    }
    return made | changes


def parse(*entries: object) -> ExchangeInfo:
    return parse_exchange_info({"symbols": [entry(symbol="GOODUSDT"), *entries]})


def test_every_field_is_taken_over() -> None:
    instrument = parse(entry(unknownKey=1)).instruments[1]
    assert (instrument.symbol, instrument.base, instrument.quote) == ("BTCUSDT", "BTC", "USDT")
    assert (instrument.contract_type, instrument.status) == ("PERPETUAL", ContractStatus.TRADING)
    assert (instrument.onboard_ms, instrument.delivery_ms) == (1_569_398_400_000, 4_133_404_800_000)
    assert (instrument.tick_size, instrument.step_size) == ("0.10", "0.001")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"symbol": ""}, "bad_symbol"),
        ({"symbol": None}, "bad_symbol"),
        ({"symbol": "A" * 41}, "bad_symbol"),
        ({"symbol": "BTC USDT"}, "bad_symbol"),
        ({"symbol": "BTC\nUSDT"}, "bad_symbol"),
        ({"symbol": "../BTCUSDT"}, "bad_symbol"),
        ({"symbol": "btcusdt@kline"}, "bad_symbol"),
        ({"symbol": "GOODUSDT"}, "duplicate_symbol"),
        ({"quoteAsset": ""}, "bad_field"),
        ({"baseAsset": 7}, "bad_field"),
        ({"contractType": None}, "bad_field"),
        ({"onboardDate": 1_569_398_400}, "bad_time"),
        ({"onboardDate": 1_569_398_400_000_000}, "bad_time"),
        ({"onboardDate": "1569398400000"}, "bad_time"),
        ({"deliveryDate": True}, "bad_time"),
        ({"filters": [{"filterType": "PRICE_FILTER", "tickSize": "NaN"}]}, "bad_field"),
        ({"filters": [{"filterType": "PRICE_FILTER", "tickSize": "-1"}]}, "bad_field"),
        ({"filters": None, "pricePrecision": None}, "bad_field"),
        ({"filters": None, "pricePrecision": 10**9}, "bad_field"),
    ],
)
def test_a_bad_entry_is_told_and_costs_only_itself(change: dict[str, Any], reason: str) -> None:
    info = parse(entry(**change), entry(symbol="AFTERUSDT"))
    assert [instrument.symbol for instrument in info.instruments] == ["GOODUSDT", "AFTERUSDT"]
    assert [error.reason for error in info.rejected] == [reason]


def test_an_entry_that_is_no_object_is_told() -> None:
    assert [error.reason for error in parse(7, None, []).rejected] == ["bad_symbol"] * 3


def test_what_the_venue_adds_later_is_tolerated() -> None:
    info = parse(
        entry(
            symbol="龙虾USDT",
            status="HALTED_BY_MOON",
            contractType="",
            filters=[{"filterType": "NEW_FILTER"}, 7, {"noType": 1}],
        )
    )
    assert info.rejected == ()
    instrument = info.instruments[1]
    assert (instrument.symbol, instrument.status) == ("龙虾USDT", ContractStatus.OTHER)
    assert (instrument.tick_size, instrument.step_size) == ("0.01", "0.001")


@pytest.mark.parametrize("answer", [None, [], {}, {"symbols": {}}, {"symbols": []}, {"symbols": [{}]}, "x"])
def test_an_answer_without_symbols_is_never_an_empty_universe(answer: object) -> None:
    with pytest.raises(Unavailable):
        parse_exchange_info(answer)


def test_the_weight_limit_is_the_one_of_a_minute() -> None:
    limits = [
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "SECOND", "intervalNum": 1, "limit": 100},
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
    ]
    assert parse_exchange_info({"symbols": [entry()], "rateLimits": limits}).weight_limit == 2400
    assert parse_exchange_info({"symbols": [entry()], "rateLimits": limits[:2]}).weight_limit is None
    assert parse_exchange_info({"symbols": [entry()], "rateLimits": 7}).weight_limit is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(changes=st.dictionaries(st.sampled_from(list(entry())), JSON), filters=st.lists(JSON, max_size=3))
def test_any_entry_is_taken_or_told(changes: dict[str, Any], filters: list[Any]) -> None:
    info = parse(entry(filters=filters) | changes)
    assert len(info.instruments) + len(info.rejected) == 2


@given(JSON)
def test_any_answer_is_parsed_or_refused(answer: Any) -> None:
    try:
        info = parse_exchange_info(answer)
    except MarketdError:
        return
    assert info.instruments


def read(path: Path) -> Any:
    text = gzip.decompress(path.read_bytes())
    if path.name.endswith(".http.gz"):  # "URL -> time: body" on the first line, then the session's settings
        text = text.split(b"\n")[0].split(b": ", 1)[1]
    return orjson.loads(text)


@pytest.mark.parametrize(
    ("name", "listed", "usdt_perpetuals", "chinese", "limit"),
    [
        ("exchangeInfo-2021-07-22.http.gz", 122, 117, (), 2400),
        ("exchangeInfo-2025-12-24.json.gz", 660, 517, ("测试测试USDT", "币安人生USDT"), 6000),
        (
            "exchangeInfo-2026-03-31.json.gz",
            705,
            548,
            ("测试测试USDT", "币安人生USDT", "我踏马来了USDT", "龙虾USDT"),
            6000,
        ),
    ],
)
def test_real_answers_are_taken_whole(
    market_data: Path, name: str, listed: int, usdt_perpetuals: int, chinese: tuple[str, ...], limit: int
) -> None:
    answer = read(market_data / "exchange_info" / name)
    info = parse_exchange_info(answer)
    assert info.rejected == ()
    assert [instrument.symbol for instrument in info.instruments] == [
        symbol["symbol"] for symbol in answer["symbols"]
    ]
    assert len(info.instruments) == listed
    assert info.weight_limit == limit
    assert tuple(i.symbol for i in info.instruments if not i.symbol.isascii()) == chinese
    assert all(i.status is not ContractStatus.OTHER for i in info.instruments)
    trading = [
        instrument
        for instrument in info.instruments
        if instrument.quote == "USDT"
        and instrument.contract_type in ("PERPETUAL", "TRADIFI_PERPETUAL")
        and instrument.status is ContractStatus.TRADING
    ]
    assert len(trading) == usdt_perpetuals


def test_a_real_instrument_has_the_sizes_of_its_filters(market_data: Path) -> None:
    info = parse_exchange_info(read(market_data / "exchange_info" / "exchangeInfo-2026-03-31.json.gz"))
    by_symbol = {instrument.symbol: instrument for instrument in info.instruments}
    assert (by_symbol["BTCUSDT"].tick_size, by_symbol["BTCUSDT"].step_size) == ("0.10", "0.0001")
    assert by_symbol["ELSAUSDT"].tick_size == "0"
    assert by_symbol["XAUUSDT"].contract_type == "TRADIFI_PERPETUAL"
