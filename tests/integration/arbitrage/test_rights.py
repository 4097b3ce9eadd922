"""The daemon's own role can do what analyses do, and no more."""

from __future__ import annotations

from typing import LiteralString

import numpy as np
import psycopg
import pytest

from src.adapters.timescale.copying.tables import DatabaseTables
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.schema.grants import separate_role
from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.analysis.arbitrage.attempts import RESULT, WORDS
from src.analysis.arbitrage.compute import _batch
from src.analysis.arbitrage.sources import moment
from src.analysis.prices.kernels import SERIES
from tests.integration.timescale.helpers import fetch
from tests.integration.timescale.test_roles import role_url
from tests.support.cluster import Cluster

REFUSED: list[LiteralString] = [
    "DELETE FROM batches",
    "UPDATE arbitrage_opportunities SET profit_usdt = 1",
    "UPDATE price_series SET close = 1",
    "TRUNCATE price_series",
]


async def test_the_writer_makes_results_anew_and_changes_none(cluster: Cluster) -> None:
    owner, url = await role_url(cluster, "analyst")
    await migrate(MigrationOptions(owner, writer_role=separate_role(url, owner)))
    tables = DatabaseTables(DatabaseOptions(url))
    span = {"since": moment(0), "until": moment(1)}
    market = {"exchange": "binance_spot", "symbol": "A", "chain": "ethereum", "pool": "0x0"}
    series = {"venue": "binance_spot", "market": "A", "interval_seconds": 1}
    bucket = np.array([(0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1)], SERIES)
    with tables.transaction():
        batch, _ = _batch(tables, None)
        assert tables.rows("arbitrage.clear_batch", batch_id=batch) == [(0,)]
        values = {**market, **span, "mode": "screen", "statuses": list(WORDS), "batch_id": batch}
        none = np.empty(0, RESULT)
        assert tables.write("arbitrage.keep", none, times=("ts", "fill_ts"), **values) == [(0,)]
        tables.rows("arbitrage.report", batch_id=batch, report="{}")
        assert tables.write("prices.keep", bucket, times=("bucket_ts",), **series) == [(1,)]
        assert tables.rows("prices.clear", **series, **span) == [(1,)]
    tables.close()
    for statement in REFUSED:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await fetch(url, statement)
