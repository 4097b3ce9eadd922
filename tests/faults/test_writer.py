"""B15, E24: rows that no database takes, and a flush that is cancelled in the middle. The writer in this process."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from src.model import MINUTE_MS
from tests.faults.bench import a_bench, put
from tests.faults.database import session, writer_waits, writers
from tests.integration.timescale.helpers import server_address, through
from tests.support.chaosproxy import ChaosProxy
from tests.support.eventually import eventually
from tests.support.world import SCHEMA

pytestmark = pytest.mark.fault

_POISON = ("BTC\x00USDT", "\ud800USDT")
"""NUL, which PostgreSQL's text does not take, and a lone surrogate, which UTF-8 does not have."""


async def test_b15_poison_rows(tmp_path: Path, database: str) -> None:
    """All other rows of the batch are committed, in as few transactions as halving takes."""
    async with a_bench(tmp_path, database) as (bench, rows, until_ms):
        last = [row for row in rows if row.open_ms == until_ms - MINUTE_MS]
        first = rows[0]
        put(bench, [row for row in rows if row not in last])
        put(bench, [replace(first, symbol=symbol) for symbol in _POISON])
        async with bench.writing():
            seen = await bench.until_empty()
            assert seen.total("rows_rejected_total") == len(_POISON), "the fault did not fire"
            assert seen.total("flush_total", result="bisected") == 1
            assert seen.total("rows_committed_total") == len(rows) - len(last)
            put(bench, last)
            seen = await bench.until_empty()
        assert seen.total("rows_committed_total") == len(rows) > 1000
        verdict = await bench.oracle.compare(until_ms)
        assert verdict.good, str(verdict)


async def test_e24_flush_cancelled(tmp_path: Path, database: str) -> None:
    """The rows stay ours until the database has said yes: nothing is lost, nothing is stored twice or by a ghost."""
    async with a_bench(tmp_path, database) as (bench, rows, until_ms):
        rounds = 5
        for number in range(rounds):
            part = rows[number::rounds]
            before = len(await bench.oracle.stored())
            put(bench, part)
            async with session(database) as stranger, stranger.transaction():
                await stranger.execute(f"LOCK TABLE {SCHEMA}.candles_1m IN ACCESS EXCLUSIVE MODE".encode())
                async with bench.writing() as task:
                    await eventually(lambda: writer_waits(database), timeout=60)
                    task.cancel()
                    await asyncio.wait({task}, timeout=60)
                    assert task.cancelled()
                assert len(bench.buffer) == len(part), "rows went with the cancelled flush"
            await eventually(lambda: _nobody_writes(database), timeout=60, message="the session is gone")
            assert len(await bench.oracle.stored()) == before, "a cancelled flush was stored"
            assert [task for task in asyncio.all_tasks() if task.get_name() == "database call"] == []
            async with bench.writing():
                seen = await bench.until_empty()
        assert seen.total("rows_committed_total", result="inserted") == len(rows) > 1000
        assert seen.total("rows_deduped_total") == 0
        verdict = await bench.oracle.compare(until_ms)
        assert verdict.good, str(verdict)


async def test_e24_cancelled_while_the_answer_to_commit_is_under_way(tmp_path: Path, database: str) -> None:
    """The rows are in and the writer does not know: they stay ours, are written again, and are there once."""
    async with ChaosProxy(server_address(database)) as proxy:
        proxied = through(database, proxy.port)
        async with a_bench(tmp_path, database, proxied=proxied) as (bench, rows, until_ms):

            async def committed() -> bool:
                return len(await bench.oracle.stored()) == len(rows)

            async with bench.writing() as task:
                async with session(database) as stranger, stranger.transaction():
                    await stranger.execute(
                        f"LOCK TABLE {SCHEMA}.candles_1m IN ACCESS EXCLUSIVE MODE".encode()
                    )
                    put(bench, rows)
                    await eventually(
                        lambda: writer_waits(database), timeout=60, message="a flush is under way"
                    )
                    proxy.hold_reply_after(b"COMMIT")
                await eventually(committed, timeout=60, message="the server has committed")
                task.cancel()
                await asyncio.wait({task}, timeout=60)
                assert task.cancelled()
            assert len(bench.buffer) == len(rows), "the answer came: the fault did not fire"
            proxy.heal()
            async with bench.writing():
                seen = await bench.until_empty()
            assert seen.total("rows_deduped_total", where="database") == len(rows) > 1000
            assert seen.total("rows_committed_total") == 0
            verdict = await bench.oracle.compare(until_ms)
            assert verdict.good, str(verdict)


async def _nobody_writes(database: str) -> bool:
    return not await writers(database)
