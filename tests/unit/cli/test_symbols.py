"""Why a contract is not among the symbols."""

from __future__ import annotations

from dataclasses import replace

import pytest

from src.cli.symbols.selected import misnamed, why_out
from src.collectors.listings.selection import Selection
from src.config import Settings
from src.model import ContractStatus, Instrument

BTC = Instrument(
    "BTCUSDT", "BTC", "USDT", "PERPETUAL", ContractStatus.TRADING, 0, 4_133_404_800_000, "0.1", "0.001"
)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (replace(BTC, quote="USDC"), "quoted in another asset than USDT"),
        (replace(BTC, contract_type="CURRENT_QUARTER"), "contract type CURRENT_QUARTER (CONTRACT_TYPES)"),
        (replace(BTC, contract_type=""), "contract type not given (CONTRACT_TYPES)"),
        (replace(BTC, symbol="USDCUSDT"), "name not selected (SYMBOLS, EXCLUDE_SYMBOLS)"),
        (replace(BTC, symbol="ETHUSDT"), "name not selected (SYMBOLS, EXCLUDE_SYMBOLS)"),
        (replace(BTC, status=ContractStatus.SETTLING), "not trading: SETTLING"),
        (
            replace(BTC, status=ContractStatus.PENDING_TRADING),
            "not trading yet; joins by itself 2 min before it starts",
        ),
    ],
)
def test_the_first_rule_that_leaves_it_out(item: Instrument, reason: str) -> None:
    assert why_out(item, Selection(include=("BTC*", "USDC*"), exclude=("USDCUSDT",))) == reason


def test_a_name_that_no_contract_has_is_told_beside_those_that_one_has() -> None:
    assert misnamed(Settings(), [BTC]) == []
    settings = Settings(symbols=("BTC*", "ETHUSTD"), trade_symbols=("BTCUSDT", "BTCUSTD"))
    assert misnamed(settings, [BTC]) == [
        "SYMBOLS: the exchange lists no contract called ETHUSTD",
        "TRADE_SYMBOLS: the exchange lists no contract called BTCUSTD",
    ]
