"""F17, F19, F20: nonsense in what was kept, a computer that comes up bit by bit, a schema that moves on meanwhile."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.paths import sql_root
from tests.faults.database import ask, session
from tests.support.eventually import eventually
from tests.support.world import SCHEMA, World

pytestmark = pytest.mark.fault

_NONSENSE = f"""
    UPDATE {SCHEMA}.rate_limit_state SET
        slots = '{{9223372036854775807, -5, NULL}}', leased = '{{-9223372036854775808}}',
        strangers = '{{NULL, 7, 7, 7, 7}}', updated_at = 'infinity';
    INSERT INTO {SCHEMA}.rate_limit_state (egress, budget, slots, banned_until)
        VALUES ('', E'\\x01', '{{}}', 'infinity');
    UPDATE {SCHEMA}.daemon_runs SET host = repeat('x', 100000), pid = -1, version = '999.0', clean = NULL,
        started_at = 'infinity', stopped_at = '-infinity';
    UPDATE {SCHEMA}.instruments SET status = 'A_STATUS_OF_THE_FUTURE', contract_type = '', tick_size = 'NaN',
        step_size = '-1', end_ts = 'infinity', delivery_ts = '-infinity';
    INSERT INTO {SCHEMA}.gap_events (exchange, symbol, from_ts, to_ts, reason)
        VALUES ('binance_futures_um', 'NOSUCHUSDT', '-infinity', 'infinity', 'nonsense');
"""
"""Everything that a start reads, with what no version of ours would write and the columns take."""

_LATER = "migrations/9990_later.sql"
_ADDITIVE = """
    ALTER TABLE candles_1m ADD COLUMN later text;
    ALTER TABLE coverage_days ADD COLUMN later integer NOT NULL DEFAULT 0;
    CREATE TABLE later (word text);
"""


async def test_f17_nonsense_in_what_was_kept(world: World) -> None:
    """Rebuilt or passed over: the next start works as the first one did, and never ends in a circle of restarts."""
    await world.begin()
    await world.live_rows(2)
    await world.daemon.stop()
    async with session(world.database_url) as owner:
        await owner.execute(_NONSENSE.encode())
    assert await ask(world.database_url, "SELECT 1 FROM market_data.daemon_runs WHERE version = '999.0'")
    await world.begin()
    await world.live_rows(2)
    seen = await world.daemon.metrics()
    assert seen.total("supervisor_restarts_total") == 0
    assert seen.total("clean_start") == 0, "a run that did not end counts as ended"
    await world.finish()


async def test_f19_network_and_database_come_late(world: World) -> None:
    """As after a reboot: nothing is there, then the network, then the database; ready when both are.

    Without a database the first requests wait up to a minute for the shared budgets, so none leaves in this time.
    """
    for proxy in (world.rest, world.stream, world.database):
        await proxy.refuse()
    world.daemon.start()
    async with world.daemon.readiness() as readiness:
        await eventually(lambda: readiness.went_away, timeout=60)
        seen = await world.daemon.wait_metric("database_errors_total", 2)
        assert (await world.daemon.get("/healthz"))[0] == 200
        assert seen.total("rows_received_total") == 0
        await world.venue.minutes(1)
        await world.rest.listen()
        await world.stream.listen()
        await world.venue.minutes(1)
        assert not readiness.now, "ready without a database"
        await world.database.listen()
        await eventually(lambda: readiness.now, timeout=60)
        await world.live_rows(2)
        await world.finish(readiness=readiness)
    assert (world.rest.fired["refused"], world.database.fired["refused"]) == (1, 1)


async def test_f20_migrated_while_it_runs(world: World, tmp_path: Path) -> None:
    """Two migrations at once, beside a daemon that writes: one applies it, the older program works on and starts."""
    folder = Path(shutil.copytree(sql_root(), tmp_path / "sql"))
    (folder / _LATER).write_text(_ADDITIVE, encoding="utf-8")
    await world.begin()
    await world.live_rows(2)
    options = MigrationOptions(world.database_url, schema=SCHEMA, sql_folder=folder)
    applied = await asyncio.gather(migrate(options), migrate(options))
    assert sorted(applied, key=len) == [[], [_LATER]]
    await world.live_rows(2)
    seen = await world.daemon.metrics()
    assert seen.total("flush_total", result="misconfigured") == 0
    assert seen.total("rows_rejected_total") == seen.total("rows_dropped_total") == 0
    await world.daemon.stop()
    await world.begin()
    await world.live_rows(2)
    await world.finish()
    assert await ask(world.database_url, "SELECT count(*) FROM market_data.later") == [(0,)]
