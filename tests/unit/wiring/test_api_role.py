"""How the role of the API is joined to the others, and what its settings mean."""

from __future__ import annotations

from typing import Any

import pytest

from src.config import Settings
from src.telemetry.metrics import Metrics
from src.wiring.api import ApiRole
from src.wiring.core import Core
from src.wiring.history import History
from src.wiring.metrics import MetricsRole
from tests.support.fakes import make_candle

DATABASE: Any = "postgresql://nobody@127.0.0.1:1/none"


@pytest.mark.parametrize(
    ("settings", "reflects"),
    [
        ({}, True),
        ({"api_host": "::1"}, True),
        ({"api_host": "10.0.0.1", "api_tokens_file": "tokens"}, False),
        ({"api_tokens_file": "tokens"}, False),
        ({"api_tokens_file": "tokens", "grpc_reflection": True}, True),
        ({"grpc_reflection": False}, False),
    ],
)
def test_what_there_is_is_told_on_loopback_or_where_it_is_wanted(
    settings: dict[str, Any], reflects: bool
) -> None:
    core = Core(Settings(database_url=DATABASE, **settings), Metrics(), run_id="r")
    role = ApiRole(core, standby=False, leads=False, beside_live=False)
    assert role.grpc._reflects is reflects


@pytest.mark.parametrize("beside_live", [True, False])
def test_the_cache_is_told_of_all_that_is_stored_here(beside_live: bool) -> None:
    core = Core(Settings(database_url=DATABASE), Metrics(), run_id="r")
    api = ApiRole(core, standby=False, leads=False, beside_live=beside_live)
    told: list[tuple[str, int]] = []

    def note(symbol: str, at_ms: int) -> None:
        told.append((symbol, at_ms))

    assert core.changed == [api.cache.changed]
    core.changed.append(note)
    history = History(core, recent_ms=0)
    metrics = MetricsRole(core, standby=False, leads=False)
    sinks: list[Any] = [
        history.importer,
        history.campaign._engine._requests._sink,
        metrics.history._parts.sink,
        metrics.funding._sink,
        metrics.sweep._sink,
    ]
    for number, sink in enumerate(sinks):
        sink._changed("A", number)
    assert told == [("A", number) for number in range(len(sinks))]
    for tell in core.committed:
        tell([make_candle("A")])
    assert api.cache._told.keys() == {"A"}
    assert api.cache._told["A"] == len(sinks) + 1
