"""The Alpha list in the database: refreshed whole, tokens that left are kept, contracts are flagged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from src.adapters.timescale.alpha_store import AlphaStore, read_tokens
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.cli.symbols.alpha import plain, table
from src.ports.metrics import AlphaToken

from .helpers import fetch

TOKEN = AlphaToken(
    "ALPHA_1", "Q", "Quack", "56", "0x1", "", False, False, 1757066400000, Decimal("0.0185"), None, None, None
)
LISTED = replace(TOKEN, alpha_id="ALPHA_2", symbol="WRAPPED", cex_coin_name="币安人生", listing_cex=True)


@pytest.fixture
async def store(database: str) -> AsyncIterator[AlphaStore]:
    store = AlphaStore(SharedSession(DatabaseOptions(database), purpose="alpha"))
    for base in ("Q", "币安人生", "BTC", ""):
        await fetch(
            database,
            "INSERT INTO instruments (exchange, symbol, onboard_ts, contract_type, status, base, quote,"
            " archive_symbol, origin) VALUES ('binance_futures_um', %s, '2026-01-01', 'PERPETUAL', 'TRADING', %s,"
            " 'USDT', 'x', 'exchange_info')",
            [f"{base}USDT", base],
        )
    yield store
    await store.close()


async def flagged(url: str) -> list[str]:
    rows: list[tuple[Any, ...]] = await fetch(
        url, "SELECT symbol FROM instruments WHERE alpha ORDER BY symbol"
    )
    return [symbol for (symbol,) in rows]


async def test_contracts_are_flagged_by_symbol_or_coin_and_unflagged_again(
    database: str, store: AlphaStore
) -> None:
    assert await store.refresh([TOKEN, LISTED]) == (2, 0)
    assert await flagged(database) == ["QUSDT", "币安人生USDT"]
    assert await store.refresh([TOKEN, LISTED]) == (0, 0)
    assert await store.refresh([LISTED]) == (0, 1)
    assert await flagged(database) == ["币安人生USDT"]
    assert await fetch(database, "SELECT alpha_id, listed FROM alpha_tokens ORDER BY 1") == [
        ("ALPHA_1", False),
        ("ALPHA_2", True),
    ]
    assert await store.refresh([replace(TOKEN, price=Decimal(1)), LISTED]) == (0, 0)
    assert await flagged(database) == ["QUSDT", "币安人生USDT"]


async def test_an_empty_list_takes_nobody_off(database: str, store: AlphaStore) -> None:
    await store.refresh([TOKEN])
    with pytest.raises(ValueError, match="empty"):
        await store.refresh([])
    assert await flagged(database) == ["QUSDT"]


async def test_what_the_command_shows(database: str, store: AlphaStore) -> None:
    await store.refresh([replace(TOKEN, offline=True), LISTED])
    tokens = await read_tokens(DatabaseOptions(database))
    assert table(tokens) == [
        "ALPHA_1  Q        56  0.0185  QUSDT     Quack (offline)",
        "ALPHA_2  WRAPPED  56  0.0185  币安人生USDT  Quack",
    ]
    shown = plain(tokens[0])
    assert (shown["alpha_id"], shown["price"], shown["contracts"]) == ("ALPHA_1", "0.0185", ["QUSDT"])
    assert str(shown["listing_time"]).startswith("2025-09-05T")
