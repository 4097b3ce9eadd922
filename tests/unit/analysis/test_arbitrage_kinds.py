"""What may be asked of ``Analyse`` and ``ProcessPrices``, and what two of them must not do at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from src.analysis.arbitrage import jobs as arbitrage_jobs
from src.analysis.prices import jobs as price_jobs
from src.errors import BadData


def test_everything_has_a_default() -> None:
    asked = arbitrage_jobs.KIND.asked({})
    assert (asked.batch_id, asked.overwrite, asked.strategy.mode) == (None, False, "screen")
    strategy = asked.strategy
    assert (strategy.delay_ms, strategy.window_ms, strategy.binance_fee_rate, strategy.uniswap_fee_rate) == (
        3_000,
        5_000,
        0.001,
        0.0005,
    )
    prices = price_jobs.KIND.asked({})
    assert (prices.start_date, prices.end_date, prices.overwrite) == (None, None, False)


def test_prices_are_written_over_only_from_a_date_on() -> None:
    with pytest.raises(BadData, match="overwrite: it needs start_date"):
        price_jobs.KIND.asked({"overwrite": True, "end_date": "2025-10-02"})


def test_a_moment_without_a_zone_is_utc() -> None:
    asked = price_jobs.KIND.asked({"start_date": "2025-10-01", "end_date": "2025-10-02T00:00:00+02:00"})
    assert asked.start_date == datetime(2025, 10, 1, tzinfo=UTC)
    assert asked.end_date == datetime(2025, 10, 1, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"strategy": {"windo_seconds": 5}}, "strategy.windo_seconds"),
        ({"strategy": {"mode": "real"}}, "strategy.mode"),
        ({"strategy": {"start": "2025-10-02", "end": "2025-10-02"}}, "start: it must be before end"),
        ({"batch_id": 0}, "batch_id"),
    ],
)
def test_what_cannot_be_asked_is_named(asked: dict[str, object], text: str) -> None:
    with pytest.raises(BadData, match=text):
        arbitrage_jobs.KIND.asked(asked)


def test_prices_want_a_range_and_a_known_interval() -> None:
    days = {"start_date": "2025-10-02", "end_date": "2025-10-01"}
    with pytest.raises(BadData, match="it must be before end_date"):
        price_jobs.KIND.asked(days)
    with pytest.raises(BadData, match="aggregation_interval"):
        price_jobs.KIND.asked({**days, "aggregation_interval": "day"})


def test_one_batch_at_a_time() -> None:
    subject = arbitrage_jobs.KIND.subject_of
    assert subject({}) == subject({"overwrite": True}) != subject({"batch_id": 3})
