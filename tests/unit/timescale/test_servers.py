"""Of several servers in DATABASE_URL, which one each session asks for."""

from __future__ import annotations

from typing import Any

import pytest

from src.adapters.timescale.ledger.holes import HoleSearch
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.rate_limits import RateLimitBook
from src.adapters.timescale.sessions.session import Session
from src.errors import Unavailable
from src.model import MINUTE_MS

OPTIONS = DatabaseOptions("postgresql://marketd@one:5432,two:5432/market")


async def test_what_a_server_that_follows_cannot_do_or_does_not_know_yet_is_asked_of_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, bool] = {}

    async def connect(options: DatabaseOptions, *, purpose: str, writable: bool, **_: Any) -> Session:
        asked[purpose] = writable
        raise Unavailable("nobody there")

    monkeypatch.setattr(Session, "connect", connect)
    with pytest.raises(Unavailable):
        await HoleSearch(OPTIONS).holes({"BTCUSDT": 0}, 10 * MINUTE_MS)
    with pytest.raises(Unavailable):
        await RateLimitBook(OPTIONS, "direct").watch(lambda budget, seconds: None)
    assert asked == {"repair": True, "bans": True}
