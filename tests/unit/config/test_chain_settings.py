"""Settings of the chain: addresses, a URL that holds a key, and what belongs together."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from src.config import Settings
from src.errors import ConfigError
from src.wiring.roles import ROLES, TRADES, UNISWAP, everything

POOL = "0x88E6A0c2dDD26FEEb64F039a2c41296FcB3f5640"
KEY = "0123456789abcdef"
URL = f"https://node.example/v3/{KEY}"


def make(**values: Any) -> Settings:
    return Settings(**values)


def test_pools_are_addresses_in_any_case_once_each() -> None:
    settings = make(uniswap_pools=f"{POOL}, {POOL.lower()},0x{'1' * 40}", eth_rpc_url=URL)
    assert settings.uniswap_pools == (POOL.lower(), "0x" + "1" * 40)
    settings.check()


@pytest.mark.parametrize("value", ["0x12", "USDC/WETH", "88e6a0c2ddd26feeb64f039a2c41296fcb3f5640"])
def test_another_text_is_no_address(value: str) -> None:
    with pytest.raises(ValidationError, match="is not an address"):
        make(uniswap_pools=value)


@pytest.mark.parametrize(
    "value", ["http://node.example", "https://node.example/?key=1", "wss://node.example", "x"]
)
def test_a_node_is_reached_over_tls_or_on_loopback(value: str) -> None:
    with pytest.raises(ValidationError):
        make(eth_rpc_url=value)
    make(eth_rpc_url="http://127.0.0.1:8545")


def test_the_key_in_the_node_s_url_is_a_secret() -> None:
    settings = make(eth_rpc_url=URL)
    assert KEY not in repr(settings)
    assert URL in settings.secrets()


def test_pools_without_a_node_are_refused() -> None:
    with pytest.raises(ConfigError, match="ETH_RPC_URL"):
        make(uniswap_pools=POOL).check()


@pytest.mark.parametrize("value", ["listing", "0d", "soon"])
def test_pools_are_filled_from_days_ago_or_from_a_date(value: str) -> None:
    with pytest.raises(ValidationError):
        make(uniswap_from=value)
    assert make(uniswap_from="2026-01-01").uniswap_from == "2026-01-01"


def test_all_leaves_out_what_was_not_configured() -> None:
    assert everything(Settings()) == [name for name in ROLES if name not in (TRADES, UNISWAP)]
    assert UNISWAP in everything(make(uniswap_pools=POOL, eth_rpc_url=URL))
