"""Which roles of a process work only while its first one has its lock."""

from __future__ import annotations

from typing import Any

import pytest

from src.collectors.running.role import LockKeeper
from src.config import Settings
from src.telemetry.metrics import Metrics
from src.wiring import Application
from src.wiring.roles import API, BACKFILL, JOBS, METRICS, TRADES, WS

DATABASE: Any = "postgresql://nobody@127.0.0.1:1/none"


def made(*roles: str, standby: bool = True) -> Application:
    settings = Settings(database_url=DATABASE, trade_symbols=("BTCUSDT",))
    return Application(
        settings,
        Metrics(),
        roles=roles,
        run_id="r",
        standby=standby,
        read=lambda: settings,
        configure_logs=lambda changed: None,
    )


@pytest.mark.parametrize("first", [WS, METRICS])
def test_all_with_a_lock_of_their_own_follow_the_first(first: str) -> None:
    application = made(*dict.fromkeys((first, METRICS, BACKFILL, TRADES, JOBS, API)))
    lead = application.lead.keeper
    assert application.lead.name == first
    followers = {
        role.name
        for role in application.roles
        if isinstance(role.keeper, LockKeeper) and role.keeper._lead is lead.settled
    }
    assert followers == {METRICS, BACKFILL, TRADES} - {first}
