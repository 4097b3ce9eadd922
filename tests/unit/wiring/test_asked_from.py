"""Since when a dataset is filled unasked, as the map of what is stored shows it."""

from __future__ import annotations

import pytest

from src.collectors.listings.instruments import FUNDING_FROM_MS, METRICS_FROM_MS
from src.config import Settings, load
from src.config.load import CONFIG_FILE, ENV_FILE
from src.model import DAY_MS, Dataset
from src.wiring.asked_from import asked_from
from tests.support.fakes import EPOCH_MS

TODAY = EPOCH_MS // DAY_MS * DAY_MS


@pytest.mark.parametrize(
    ("given", "dataset", "since"),
    [
        ({"BACKFILL_FROM": "2d"}, Dataset.CANDLES, TODAY - 2 * DAY_MS),
        ({"BACKFILL_FROM": "2d"}, Dataset.FUNDING, TODAY - 2 * DAY_MS),
        ({"BACKFILL_FROM": "2d", "TRADES_FROM": "5d"}, Dataset.TRADES, TODAY - 5 * DAY_MS),
        ({"BACKFILL_FROM": "listing"}, Dataset.CANDLES, 0),
        ({"BACKFILL_FROM": "listing"}, Dataset.METRICS, METRICS_FROM_MS),
        ({"BACKFILL_FROM": "listing"}, Dataset.FUNDING, FUNDING_FROM_MS),
    ],
)
def test_it_is_the_setting_of_the_dataset(given: dict[str, str], dataset: Dataset, since: int) -> None:
    assert asked_from(_settings(**given), dataset, EPOCH_MS) == since


def test_what_retention_drops_is_not_asked_for() -> None:
    kept = asked_from(_settings(BACKFILL_FROM="listing", RETENTION_DAYS="30"), Dataset.CANDLES, EPOCH_MS)
    # Whole chunks are dropped: up to one more of them is kept.
    assert TODAY - 38 * DAY_MS <= kept <= TODAY - 30 * DAY_MS


def _settings(**given: str) -> Settings:
    return load(environ={ENV_FILE: "/dev/null", CONFIG_FILE: "/dev/null", **given}).settings
