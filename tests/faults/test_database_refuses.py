"""E5, E10, E12, E17, E22: the database is away for hours, refuses, is slow, has changed, or talks of other times."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from tests.faults.database import ask, drifted, session
from tests.support.eventually import eventually
from tests.support.venue import VenueOptions
from tests.support.world import SCHEMA, World, open_world

pytestmark = pytest.mark.fault

_BUFFER_ROWS = 1000
_HOURS = 2
_FAST = VenueOptions(symbols=20, speed=360.0)
"""An hour lasts ten seconds; 20 symbols fill the smallest buffer in 50 minutes."""

_REFUSALS = 3
_SERIALIZATION = f"""
    CREATE SEQUENCE {SCHEMA}.refusals;
    CREATE FUNCTION {SCHEMA}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE EXCEPTION 'the isolation of the role was taken';
        END IF;
        IF nextval('{SCHEMA}.refusals') <= {_REFUSALS} THEN
            RAISE EXCEPTION 'could not serialize access' USING ERRCODE = 'serialization_failure';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON {SCHEMA}.candles_1m EXECUTE FUNCTION {SCHEMA}.refuse();
"""
"""A sequence counts on whatever becomes of its transaction; a transaction of another isolation never succeeds."""

_LARGE = 150
_SLOW = f"""
    CREATE TABLE {SCHEMA}.slowness (on_since timestamptz);
    CREATE FUNCTION {SCHEMA}.be_slow() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        number integer := coalesce(nullif(current_setting('fault.rows', true), ''), '0')::integer + 1;
    BEGIN
        PERFORM set_config('fault.rows', number::text, true);
        IF number > {_LARGE} AND EXISTS (SELECT FROM {SCHEMA}.slowness) THEN
            PERFORM pg_sleep(60);
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER be_slow BEFORE INSERT ON {SCHEMA}.candles_1m
        FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.be_slow();
    INSERT INTO {SCHEMA}.slowness VALUES (now());
"""
"""A statement of more rows than that never ends by itself."""

_DRIFTS: dict[str, tuple[LiteralString, LiteralString]] = {
    "table": (
        "ALTER TABLE market_data.candles_1m RENAME TO gone",
        "ALTER TABLE market_data.gone RENAME TO candles_1m",
    ),
    "column": (
        "ALTER TABLE market_data.candles_1m RENAME COLUMN revision TO edition",
        "ALTER TABLE market_data.candles_1m RENAME COLUMN edition TO revision",
    ),
    "constraint": (
        "ALTER TABLE market_data.candles_1m DROP CONSTRAINT candles_1m_pkey",
        "ALTER TABLE market_data.candles_1m ADD CONSTRAINT candles_1m_pkey"
        " PRIMARY KEY (exchange, symbol, bucket_ts)",
    ),
}
"""What goes wrong, and what mends it."""

_GAP_MINUTES: LiteralString = (
    "SELECT coalesce(sum(extract(epoch FROM to_ts - from_ts) / 60), 0)::bigint FROM market_data.gap_events"
    " WHERE reason = 'buffer_full'"
)
_DAYS: LiteralString = (
    "SELECT symbol, (bucket_ts AT TIME ZONE 'UTC')::date::text, count(*) FROM market_data.candles_1m"
    " WHERE bucket_ts > '2000-01-01' GROUP BY 1, 2 ORDER BY 1, 2"
)
_LEDGER: LiteralString = (
    "SELECT symbol, day::text, have::bigint FROM market_data.coverage_days WHERE dataset = 'candles_1m' AND have > 0"
    " ORDER BY 1, 2"
)


async def test_e5_away_for_hours(tmp_path: Path, database: str) -> None:
    """The buffer keeps to its bound, what falls out of it is remembered as gaps, and all of it is read again."""
    settings = {"BUFFER_ROWS": str(_BUFFER_ROWS)}
    async with open_world(tmp_path, database, options=_FAST, settings=settings) as world:
        await world.begin()
        await world.live_rows(5)
        async with world.daemon.readiness() as readiness:
            await world.database.refuse()
            assert world.database.reset_all() >= 1
            fullest = await _fullest(world, until=await world.venue.now_ms() + _HOURS * 3_600_000)
            assert 0.9 * _BUFFER_ROWS <= fullest <= _BUFFER_ROWS
            least = _HOURS * 60 * len(world.venue.symbols) - _BUFFER_ROWS - 200
            seen = await world.daemon.wait_metric("rows_dropped_total", least, reason="full")
            dropped = seen.total("rows_dropped_total", reason="full")
            await world.database.listen()
            await eventually(lambda: readiness.came_back, timeout=60)
            await world.finish(readiness=readiness)
    [(minutes,)] = await ask(database, _GAP_MINUTES)
    assert int(str(minutes)) >= dropped - len(world.venue.symbols), (
        "minutes fell out and nobody wrote them down"
    )


async def _fullest(world: World, *, until: float) -> float:
    """Watch the buffer until that venue time; the most rows it held."""
    most = 0.0
    while await world.venue.now_ms() < until:
        most = max(most, (await world.daemon.metrics()).total("buffer_rows"))
        await asyncio.sleep(0.2)
    return most


async def test_e10_serialization_failures(world: World) -> None:
    """The role asks for SERIALIZABLE, the daemon does not take it; where 40001 comes all the same it tries again."""
    async with session(world.database_url) as owner:
        await _for_this_database(owner, "default_transaction_isolation", "serializable")
        shown = await ask(world.database_url, "SHOW default_transaction_isolation")
        assert shown == [("serializable",)], "the fault did not fire"
        await world.begin()
        await world.live_rows(1)
        await owner.execute(_SERIALIZATION.encode())
        seen = await world.daemon.wait_metric("database_errors_total", _REFUSALS, sqlstate_class="40")
        assert seen.total("flush_total", result="retried") >= _REFUSALS
        assert seen.total("rows_dropped_total") == seen.total("rows_rejected_total") == 0
        await world.live_rows(4)
        seen = await world.daemon.metrics()
        assert seen.total("database_errors_total", sqlstate_class="P0") == 0, (
            "it works at the role's isolation"
        )
        [(asked,)] = await ask(world.database_url, "SELECT last_value FROM market_data.refusals")
        assert int(str(asked)) > _REFUSALS, "nothing was written after the last refusal"
        await world.finish()


async def test_e12_slow_statement(world: World) -> None:
    """statement_timeout ends a large batch; a smaller one is tried and goes through while the fault lasts."""
    await world.begin()
    await world.live_rows(1)
    async with session(world.database_url) as owner, world.daemon.readiness() as readiness:
        await owner.execute(_SLOW.encode())
        seen = await world.daemon.wait_metric("database_errors_total", 1, sqlstate_class="57")
        committed = seen.total("rows_committed_total")
        assert seen.total("flush_total", result="retried") >= 1
        assert seen.total("rows_dropped_total") == 0
        await world.daemon.wait_metric("rows_committed_total", committed + 1)
        await owner.execute(f"TRUNCATE {SCHEMA}.slowness".encode())
        await world.live_rows(1)
        await world.finish(readiness=readiness)


@pytest.mark.parametrize("drift", sorted(_DRIFTS))
async def test_e17_schema_drift(world: World, drift: str) -> None:
    """Nothing is thrown away and nothing is hammered; the daemon says what is wrong, and goes on once it is mended."""
    damage, mend = _DRIFTS[drift]
    await world.begin()
    await world.live_rows(3)
    async with world.daemon.readiness() as readiness:
        async with drifted(world, damage, mend):
            began = asyncio.get_running_loop().time()
            await world.daemon.wait_metric("flush_total", 2, result="misconfigured")
            _, text = await world.daemon.get("/readyz")
            assert "refuses our statements" in text
            await world.live_rows(2)
            seen = await world.daemon.metrics()
            elapsed = asyncio.get_running_loop().time() - began
            assert seen.total("flush_total", result="misconfigured") <= elapsed / 1.0 + 3, "a retry storm"
            assert seen.total("buffer_rows") >= 2 * len(world.venue.symbols), "the buffer took nothing"
            assert seen.total("rows_dropped_total") == seen.total("rows_rejected_total") == 0
            assert seen.total("database_errors_total", sqlstate_class="42") >= 2
        await world.live_rows(1)
        await world.finish(readiness=readiness)


@pytest.mark.parametrize(("zone", "style"), [("America/New_York", "SQL, DMY"), ("Asia/Kathmandu", "German")])
async def test_e22_the_role_has_another_time_zone(world: World, zone: str, style: str) -> None:
    """The daemon's sessions say what they need: every instant is stored right, and the ledger's days are UTC days."""
    async with session(world.database_url) as owner:
        await _for_this_database(owner, "TimeZone", zone)
        await _for_this_database(owner, "DateStyle", style)
    assert await ask(world.database_url, "SHOW TimeZone") == [(zone,)], "the fault did not fire"
    await world.begin()
    await world.live_rows(2)
    # Closes that only REST can bring: the roll call asks by the venue's clock, the search for holes by what is stored.
    await world.venue.control("drop_close", share=0.3)
    await world.live_rows(3)
    await world.venue.clear()
    await world.finish()
    assert await ask(world.database_url, _DAYS) == await ask(world.database_url, _LEDGER)


async def _for_this_database(owner: psycopg.AsyncConnection, name: str, value: str) -> None:
    """A default of the role in this run's database alone: other runs share the server."""
    statement = psycopg.sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET {} = {}").format(
        psycopg.sql.Identifier(owner.info.dbname), psycopg.sql.Identifier(name), psycopg.sql.Literal(value)
    )
    await owner.execute(statement)
