"""Trades of a market that was listed again: by listing and id, in whatever order they were stored."""

from __future__ import annotations

import pytest

from src.adapters.timescale.copying.tables import DatabaseTables
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.trades.store import TradeStore
from src.analysis.arbitrage.execution import Tokens
from src.analysis.arbitrage.sources import Pair, trades
from src.model import Trade
from tests.integration.timescale.helpers import listed

CUT_MS = 1_760_054_400_000
PAIR = Pair("binance_futures_um", "ETHUSDT", "ethereum", "0x" + "a" * 40, Tokens(1, 6, 18), 500, 10)


@pytest.mark.parametrize(("first_id", "second_id"), [(100, 1), (1, 100), (1, 1)])
async def test_a_slice_with_two_listings_is_in_order(database: str, first_id: int, second_id: int) -> None:
    await listed(database, PAIR.symbol, CUT_MS - 86_400_000, CUT_MS)
    first = [
        Trade(PAIR.symbol, first_id + n, CUT_MS - 600_000 + n * 1000, 1.0 + n, 1.0, True) for n in range(20)
    ]
    second = [
        Trade(PAIR.symbol, second_id + n, CUT_MS + 5_000 + n * 1000, 50.0 + n, 1.0, True) for n in range(20)
    ]
    store = TradeStore(SharedSession(DatabaseOptions(database), purpose="trades"))
    for part in (second, first[10:], first[:10]):
        await store.write(part)
    await store.close()
    tables = DatabaseTables(DatabaseOptions(database))
    try:
        found = trades(tables, PAIR, CUT_MS - 3_600_000, CUT_MS + 3_600_000)
    finally:
        tables.close()
    prices = [price for piece in found for price in piece["price"].tolist()]
    assert prices == [trade.price for trade in [*first, *second]]
