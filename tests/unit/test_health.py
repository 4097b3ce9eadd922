"""Readiness says why it is refused."""

from __future__ import annotations

from src.telemetry.health import Health


def test_a_new_process_is_not_ready_and_says_why() -> None:
    assert Health().not_ready_reasons(now=1000.0) == ["database not writable", "no candle stored yet"]


def test_fresh_data_and_a_writable_database_are_ready() -> None:
    health = Health(database_writable=True, newest_candle_close=950.0)
    assert health.not_ready_reasons(now=1000.0) == []
    assert health.not_ready_reasons(now=1040.0) == ["newest candle is 90 s old"]


def test_a_problem_or_a_stop_makes_it_unready() -> None:
    health = Health(database_writable=True, newest_candle_close=999.0, problem="grant missing", stopping=True)
    assert health.not_ready_reasons(now=1000.0) == ["stopping", "grant missing"]
