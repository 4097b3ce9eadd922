"""The universe has what a client must take and what it must leave out, in the real shape."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from src.sandbox.market.candles import MINUTE_MS
from src.sandbox.market.catalogue import catalogue
from src.sandbox.market.replay import Replay
from src.sandbox.market.universe import PENDING, SETTLING, TRADING, Universe
from src.sandbox.options import SandboxOptions

START_MS = 1_780_000_020_000
MINUTE = START_MS // MINUTE_MS
WANTED = {"PERPETUAL", "TRADIFI_PERPETUAL"}


def universe(**given: Any) -> Universe:
    return Universe(SandboxOptions(**given), START_MS, Replay())


def wanted(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        one
        for one in entries
        if one["quoteAsset"] == "USDT" and one["contractType"] in WANTED and one["status"] == TRADING
    ]


def test_the_default_universe_is_like_the_real_one() -> None:
    entries = catalogue(1, 740, START_MS)
    chosen = wanted(entries)
    assert len(chosen) == 740
    assert len({one["symbol"] for one in entries}) == len(entries)
    assert sum(not one["symbol"].isascii() for one in chosen) == 5
    assert 0.15 < sum(one["contractType"] == "TRADIFI_PERPETUAL" for one in chosen) / 740 < 0.3
    assert max(len(one["symbol"]) for one in chosen) <= 17
    assert any(one["symbol"][0].isdigit() for one in chosen)
    assert not any("_" in one["symbol"] for one in chosen)


@pytest.mark.parametrize("count", [1, 7, 200, 740, 1500])
def test_there_is_always_something_to_leave_out(count: int) -> None:
    entries = catalogue(3, count, START_MS)
    assert len(wanted(entries)) == count
    left_out = Counter(
        one["status"] if one["status"] != TRADING else f"{one['quoteAsset']} {one['contractType']}"
        for one in entries
        if one not in wanted(entries)
    )
    assert left_out.keys() == {
        PENDING, SETTLING, "USDC PERPETUAL", "BTC PERPETUAL", "USDT CURRENT_QUARTER", "USDT NEXT_QUARTER",
    }  # fmt: skip
    quarterlies = [one for one in entries if "QUARTER" in one["contractType"]]
    assert all("_" in one["symbol"] and one["deliveryDate"] > START_MS for one in quarterlies)


def test_a_smaller_universe_is_the_beginning_of_a_larger_one() -> None:
    few = [one["symbol"] for one in wanted(catalogue(1, 50, START_MS))]
    many = [one["symbol"] for one in wanted(catalogue(1, 740, START_MS))]
    assert many[:50] == few
    assert {"BTCUSDT", "币安人生USDT", "XAUUSDT", "1000PEPEUSDT"} <= set(few[:15])


def test_the_answer_has_the_real_keys(market_data: Path) -> None:
    real = orjson.loads(
        gzip.decompress((market_data / "exchange_info/exchangeInfo-2025-12-24.json.gz").read_bytes())
    )
    ours = orjson.loads(universe(symbols=20).body(START_MS))
    assert ours["symbols"][0].keys() == real["symbols"][0].keys()
    assert ours.keys() == real.keys() | {"futuresType"}
    assert {one["filterType"] for one in ours["symbols"][0]["filters"]} == {
        one["filterType"] for one in real["symbols"][0]["filters"]
    }
    assert "tickSize" in ours["symbols"][0]["filters"][0], "clients look for it in the first filter"
    assert ours["rateLimits"][0]["limit"] == 2400


def test_a_real_universe_keeps_its_statuses(market_data: Path) -> None:
    path = market_data / "exchange_info/exchangeInfo-2026-03-31.json.gz"
    real = {one["symbol"]: one for one in orjson.loads(gzip.decompress(path.read_bytes()))["symbols"]}
    ours = universe(exchange_info=path)
    assert ours.due(START_MS + 10**12) == []
    shown = {one["symbol"]: one for one in orjson.loads(ours.body(START_MS))["symbols"]}
    assert shown == real
    trading = {name for name, one in ours.instruments.items() if one.trades(MINUTE)}
    assert trading == {
        name for name, one in real.items() if one["status"] == TRADING and one["onboardDate"] <= START_MS
    }


def test_a_symbol_listed_later_becomes_tradable_at_its_time_in_a_real_universe_too(tmp_path: Path) -> None:
    path = tmp_path / "info.json"
    path.write_text(json.dumps({"symbols": catalogue(1, 3, START_MS)}))
    for made in (universe(symbols=3), universe(exchange_info=path)):
        onboard = START_MS + 90_000
        new = made.list_symbol("NEWUSDT", onboard, START_MS, "PERPETUAL")
        assert new.info["status"] == PENDING
        assert not new.trades(onboard // MINUTE_MS)
        assert new not in made.due(onboard - 1)
        assert new in made.due(onboard)
        assert new.info["status"] == TRADING
        assert new.trades(onboard // MINUTE_MS)
        assert not new.trades(onboard // MINUTE_MS - 1)


def test_a_listing_of_what_trades_is_refused() -> None:
    with pytest.raises(ValueError, match="BTCUSDT is trading already"):
        universe(symbols=3).list_symbol("BTCUSDT", START_MS, START_MS, "PERPETUAL")


def test_a_delisting_ends_with_the_running_minute_and_the_name_can_come_back() -> None:
    made = universe(symbols=3)
    btc = made.end("BTCUSDT", START_MS + 5_000, status=SETTLING, gone=False, final=True)
    assert btc.trades(MINUTE)
    assert not btc.trades(MINUTE + 1)
    assert btc.info["deliveryDate"] == (MINUTE + 1) * MINUTE_MS
    again = made.list_symbol("BTCUSDT", START_MS + 600_000, START_MS + 600_000, "PERPETUAL")
    assert again is btc
    assert [(one.first, one.end) for one in btc.periods][1:] == [(MINUTE + 10, None)]
    assert not btc.trades(MINUTE + 5)
    assert btc.periods[0].onboard_ms != btc.periods[1].onboard_ms == btc.info["onboardDate"]


def test_a_halt_pauses_the_same_contract() -> None:
    made = universe(symbols=3)
    onboard = made.find("ETHUSDT").info["onboardDate"]
    eth = made.end("ETHUSDT", START_MS, status="PRE_SETTLE", gone=False, final=False)
    made.resume("ETHUSDT", START_MS + 300_000)
    assert [eth.trades(MINUTE + ahead) for ahead in range(8)] == [True, *[False] * 5, True, True]
    assert eth.info["onboardDate"] == onboard
    assert {period.onboard_ms for period in eth.periods} == {onboard}


def test_a_removed_symbol_is_shown_no_more() -> None:
    made = universe(symbols=3)
    before = made.version
    made.end("BTCUSDT", START_MS, status=SETTLING, gone=True, final=True)
    assert made.version > before
    assert "BTCUSDT" not in {one["symbol"] for one in orjson.loads(made.body(START_MS))["symbols"]}
    with pytest.raises(ValueError, match="no such symbol: NOPE"):
        made.find("NOPE")


def test_what_is_no_universe_is_refused(tmp_path: Path) -> None:
    for text in ("<html>", "[]", '{"code":-1003}'):
        path = tmp_path / "info.json"
        path.write_text(text)
        with pytest.raises(ValueError, match="not an exchangeInfo answer"):
            universe(exchange_info=path)


@pytest.mark.parametrize("wrong", [{"speed": 0}, {"port": 70_000}, {"symbols": -1}, {"sleeper_share": 2}])
def test_options_out_of_range_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SandboxOptions(**wrong)
