"""What of a process works only while its first role has its lock."""

from __future__ import annotations

import asyncio
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


@pytest.mark.parametrize(("standby", "leader"), [(True, JOBS), (False, None)])
async def test_the_tasks_of_a_standby_know_the_time_of_the_venue(standby: bool, leader: str | None) -> None:
    application = made(WS, JOBS, standby=standby)
    turns = {part.name: part.turn for part in application._daemon(asyncio.Event())._collectors}
    by_name = {role.name: role.keeper.settled for role in application.roles}
    assert turns["clock_sync"] is (None if leader is None else by_name[leader])
    assert turns["universe"] is None
