"""The shared book on the real server."""

from __future__ import annotations

import asyncio
from typing import LiteralString

import psycopg
import pytest

from src.adapters.rate_limiter import Budgets
from src.adapters.rate_limiter.book import LeaseAsk
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.rate_limits import RateLimitBook, egress_of
from src.clock import VenueClock
from src.errors import RateLimited
from src.ports import Priority
from src.telemetry.metrics import Metrics
from tests.faults.database import ask as query
from tests.support.eventually import eventually

ASK = LeaseAsk("fapi", slot=1000, slots=1, limit=100, want=10, need=1, ceiling=100)


def book(url: str, egress: str = "direct", metrics: Metrics | None = None) -> RateLimitBook:
    return RateLimitBook(DatabaseOptions(url), egress, metrics)


async def execute(url: str, statement: LiteralString, *values: object) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(statement, values)


@pytest.mark.parametrize(
    ("proxy", "name"),
    [
        (None, "direct"),
        ("http://user:secret@proxy.example:3128", "proxy.example:3128"),
        ("http://10.0.0.1:8080/", "10.0.0.1:8080"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("http://proxy.example", "proxy.example"),
    ],
)
def test_the_address_is_named_without_an_account(proxy: str | None, name: str) -> None:
    assert egress_of(proxy) == name


async def test_leases_at_once_never_exceed_the_ceiling(database: str) -> None:
    books = [book(database) for _ in range(4)]
    try:
        grants = await asyncio.gather(*(one.lease(ASK) for one in books for _ in range(5)))
        assert sum(grant.granted for grant in grants) == 100
        assert max(grant.total for grant in grants) == 100
        elsewhere = book(database, "proxy.example:3128")
        assert (await elsewhere.lease(ASK)).granted == 10
        await elsewhere.close()
    finally:
        for one in books:
            await one.close()


async def test_a_session_that_is_lost_is_made_anew(database: str) -> None:
    one = book(database)
    await one.lease(ASK)
    await query(
        database,
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
        " WHERE application_name LIKE 'marketd/limiter/%' AND datname = current_database()",
    )

    async def answers() -> bool:
        try:
            return (await one.lease(ASK)).granted == 10
        except Exception as error:
            assert type(error).__name__ == "Unavailable"
            return False

    await eventually(answers)
    await one.close()


async def test_a_ban_is_heard_at_once_and_read_by_those_who_come_later(database: str) -> None:
    teller, listener = book(database), book(database)
    heard: dict[str, float] = {}
    watching = asyncio.create_task(listener.watch(heard.__setitem__), name="watch")
    listening = (
        "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'marketd/bans/%' AND state = 'idle'"
    )
    try:
        await eventually(lambda: query(database, f"{listening} AND datname = current_database()"))
        await teller.ban(["fapi", "funding"], 500)
        await teller.ban(["fapi"], 20)
        await eventually(lambda: heard.keys() == {"fapi", "funding"}, timeout=60)
        assert 450 < heard["fapi"] <= 500
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await teller.close()
    later = book(database)
    assert 450 < (await later.lease(ASK)).ban_s <= 500
    await later.close()


@pytest.mark.parametrize(
    "garbage",
    [
        "slots = '{1000}', leased = '{-5}', strangers = '{0}'",
        "slots = '{1000}', leased = '{99999999999999}', strangers = '{0}'",
        "slots = '{1000,1001}', leased = '{1}', strangers = '{0}'",
        "slots = '{1000,1000}', leased = '{1,1}', strangers = '{0,0}'",
        "slots = '{NULL}', leased = '{1}', strangers = '{0}'",
        "slots = '{{1000,2},{3,4}}', leased = '{{1,2},{3,4}}', strangers = '{{0,0},{0,0}}'",
    ],
)
async def test_c14_nonsense_in_the_book_leaves_a_tenth_for_one_window(
    database: str, garbage: LiteralString, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    one = book(database, metrics=metrics)
    await one.lease(ASK)
    await execute(database, "UPDATE market_data.rate_limit_state SET " + garbage)
    granted = [(await one.lease(ASK)).granted for _ in range(4)]
    assert granted == [10, 0, 0, 0]
    await execute(database, "UPDATE market_data.rate_limit_state SET " + garbage)
    await one.lease(ASK)
    next_window = LeaseAsk("fapi", slot=1001, slots=1, limit=100, want=100, need=1, ceiling=100)
    assert (await one.lease(next_window)).granted == 100
    counted = metrics.registry.get_sample_value(
        "marketd_rate_limit_leases_total", {"budget": "fapi", "result": "corrupt"}
    )
    assert counted == 2
    assert sum("rate_limit_state_corrupt" in str(record.msg) for record in caplog.records) == 1
    await one.close()


@pytest.mark.parametrize("until", ["infinity", "2999-01-01", "-infinity"])
async def test_c14_an_absurd_ban_is_bounded_and_the_next_one_replaces_it(database: str, until: str) -> None:
    one = book(database)
    await one.lease(ASK)
    await execute(database, "UPDATE market_data.rate_limit_state SET banned_until = %s::timestamptz", until)
    assert (await one.lease(ASK)).ban_s == (0 if until == "-infinity" else 120)
    await one.ban(["fapi"], 300)
    assert 250 < (await one.lease(ASK)).ban_s <= 300
    await one.close()


@pytest.mark.parametrize("until", ["infinity", "2999-01-01"])
@pytest.mark.parametrize("reader", ["lease", "watch"])
async def test_f17_an_absurd_ban_ends_for_good_whoever_reads_it(
    database: str, until: str, reader: str
) -> None:
    """Bounded in memory alone it would be read again, and begin again, for ever."""
    one = book(database)
    await one.lease(ASK)
    await execute(database, "UPDATE market_data.rate_limit_state SET banned_until = %s::timestamptz", until)
    heard: dict[str, float] = {}
    watching = asyncio.create_task(one.watch(heard.__setitem__), name="watch") if reader == "watch" else None
    try:
        if watching is None:
            assert (await one.lease(ASK)).ban_s == 120
        else:
            await eventually(lambda: 100 < heard.get("fapi", 0) <= 120, timeout=60)
        bounded = "SELECT 1 FROM market_data.rate_limit_state WHERE banned_until < now() + interval '121 s'"
        await eventually(lambda: query(database, bounded), timeout=60)
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    assert 100 < (await one.lease(ASK)).ban_s <= 120
    await one.close()


async def test_c14_a_book_without_its_table_or_right_leaves_a_tenth(database: str) -> None:
    await execute(database, "DROP TABLE market_data.rate_limit_state")
    budgets = Budgets(VenueClock(speed=1), Metrics(), fapi_limit=100, book=book(database))
    budgets.fapi._lease.begin_waiting(budgets.fapi._clock.monotonic(), 0.2)  # type: ignore[union-attr]
    running = asyncio.create_task(budgets.run(), name="budgets")
    try:
        async with asyncio.timeout(60), budgets.fapi.permit(1, Priority.ROLL_CALL):
            assert not budgets.fapi.is_shared
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_c2_a_ban_outlives_a_restart(database: str) -> None:
    """The first request of a new process finds the ban before it is sent."""
    for _ in range(2):
        budgets = Budgets(VenueClock(speed=1), Metrics(), book=book(database))
        running = asyncio.create_task(budgets.run(), name="budgets")
        try:
            if _ == 0:
                async with asyncio.timeout(60), budgets.fapi.permit(1, Priority.ROLL_CALL):
                    budgets.fapi.pause(3600)
                await eventually(lambda: query(
                    database, "SELECT 1 FROM market_data.rate_limit_state WHERE banned_until > now()"
                ))  # fmt: skip
                continue
            for limiter in (budgets.fapi, budgets.futures_data, budgets.funding):
                with pytest.raises(RateLimited):
                    async with asyncio.timeout(60), limiter.permit(1, Priority.ROLL_CALL):
                        pass
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
