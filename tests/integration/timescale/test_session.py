"""No call hangs: a deadline and a cancellation both end it at once, and a lost answer to COMMIT costs nothing."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from typing import LiteralString

import pytest

from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.options import DEADLINE_S, DatabaseOptions
from src.errors import Unavailable
from src.model import WriteResult
from src.telemetry.metrics import Metrics
from tests.support.chaosproxy import ChaosProxy
from tests.support.eventually import eventually

from .helpers import CANDLE, connect, fetch, minutes, opened, server_address, stored, through


@pytest.fixture
async def proxy(database: str) -> AsyncIterator[ChaosProxy]:
    async with ChaosProxy(server_address(database)) as proxy:
        yield proxy


def store_through(database: str, proxy: ChaosProxy, **options: float) -> CandleStore:
    return CandleStore(
        DatabaseOptions(through(database, proxy.port), deadline_s=options.get("deadline_s", 20.0))
    )


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_half_open_connection_is_given_up_at_the_deadline(
    database: str, proxy: ChaosProxy, direction: str
) -> None:
    metrics = Metrics()
    store = CandleStore(DatabaseOptions(through(database, proxy.port)), metrics)
    await store.open()
    assert store._session is not None
    store._session._deadline_s = 0.5  # of this session alone: opening one takes its time on a busy machine
    getattr(proxy, direction).blackhole = True
    started = time.monotonic()
    with pytest.raises(Unavailable) as failed:
        await store.write(minutes(10), [])
    assert 0.4 < time.monotonic() - started < DEADLINE_S
    assert failed.value.reason == "deadline"
    assert proxy.fired["blackholed_bytes"] > 0
    assert metrics.registry.get_sample_value("marketd_database_up") == 0
    assert metrics.registry.get_sample_value("marketd_database_errors_total", {"sqlstate_class": "none"}) == 1
    proxy.heal()
    await store.open()
    assert (await store.write(minutes(10), [])).rows == 10
    assert len(await stored(database)) == 10
    await store.close()


async def test_connecting_to_a_black_hole_is_given_up(database: str, proxy: ChaosProxy) -> None:
    proxy.down.blackhole = True
    store = store_through(database, proxy, deadline_s=0.5)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        await store.open()
    assert time.monotonic() - started < DEADLINE_S


async def test_a_server_that_is_away_is_unavailable(database: str, proxy: ChaosProxy) -> None:
    await proxy.refuse()
    with pytest.raises(Unavailable):
        await store_through(database, proxy).open()


@pytest.mark.parametrize("cut", ["close_all", "reset_all"])
async def test_a_cut_connection_is_unavailable_and_open_makes_a_new_one(
    database: str, proxy: ChaosProxy, cut: str
) -> None:
    store = store_through(database, proxy)
    await store.open()
    assert getattr(proxy, cut)() == 1
    with pytest.raises(Unavailable):
        await store.write([CANDLE], [])
    await store.open()
    assert await store.write([CANDLE], []) == WriteResult(1, 0, 0)
    await store.close()


async def test_a_cancelled_write_ends_at_once_though_the_server_says_nothing(
    database: str, proxy: ChaosProxy
) -> None:
    store = store_through(database, proxy)
    await store.open()
    proxy.up.blackhole = True
    writing = asyncio.create_task(store.write([CANDLE], []))
    await eventually(lambda: proxy.fired["blackholed_bytes"])
    writing.cancel()
    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert time.monotonic() - started < DEADLINE_S / 2
    assert not store.is_open
    assert await stored(database) == []


async def test_a_cancelled_write_behind_a_lock_frees_its_session(database: str) -> None:
    store = CandleStore(DatabaseOptions(database))
    await store.open()
    async with await connect(database) as other, other.transaction():
        await other.execute("LOCK TABLE candles_1m IN ACCESS EXCLUSIVE MODE")
        writing = asyncio.create_task(store.write([CANDLE], []))
        waits: LiteralString = (
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        await eventually(lambda: fetch(database, waits))
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    # The server learns of it when the wait ends; our run may come back before that.
    await store.open()
    assert (await store.write([CANDLE], [])).rows == 1
    assert len(await stored(database)) == 1
    await store.close()


async def test_the_answer_to_commit_is_lost(database: str, proxy: ChaosProxy) -> None:
    """E16: the rows are in, we cannot know it, we write them again, and they are there once."""
    store = store_through(database, proxy)
    await store.open()
    proxy.cut_reply_after(b"COMMIT")
    with pytest.raises(Unavailable):
        await store.write(minutes(50), [])
    assert proxy.fired["reply_cut"] == 1
    await eventually(lambda: stored(database))
    await store.open()
    assert await store.write(minutes(50), []) == WriteResult(0, 0, 50)
    assert len(await stored(database)) == 50
    await store.close()


async def test_the_session_has_our_settings(database: str) -> None:
    store = CandleStore(DatabaseOptions(database))
    await store.open()
    assert store._session is not None
    connection = store._session.connection
    expected = {
        "TimeZone": "UTC",
        "statement_timeout": "20s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
        "tcp_user_timeout": "15000",
        "tcp_keepalives_idle": "5",
        "search_path": "market_data, public, pg_temp",
    }
    shown = await connection.execute(
        "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name", [list(expected)]
    )
    assert dict(await shown.fetchall()) == expected
    await store.close()


async def test_the_kernel_gives_up_on_bytes_that_nobody_acknowledges(database: str) -> None:
    """E19: the client's half; the session's settings above are the server's."""
    async with opened(database) as store:
        assert store._session is not None
        with socket.socket(fileno=os.dup(store._session.connection.fileno())) as link:
            assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000
            assert link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
