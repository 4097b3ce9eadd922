"""``marketd backfill`` as a person runs it: killed it goes on, interrupted it stops, and a plan is printed first."""

from __future__ import annotations

import asyncio
import json
import signal
from functools import partial
from pathlib import Path

from tests.integration.backfill.past import Past, open_past
from tests.support.eventually import eventually
from tests.support.processes import Child

_THE_20TH_MS = 1_779_278_400_000
"""2026-05-20, noon."""


def _command(
    past: Past, folder: Path, number: int, *arguments: str, command: str = "backfill", **settings: str
) -> Child:
    environment = {**past.environment(folder), **settings}
    return Child(["-m", "src", command, *arguments], environment=environment, log=folder / f"{number}.log")


async def _rows(past: Past) -> int:
    [(rows,)] = await past.sql("SELECT count(*) FROM candles_1m")
    return int(rows)


async def test_killed_twice_it_ends_complete(database: str, tmp_path: Path) -> None:
    async with open_past(database, tmp_path) as past:
        ends = []
        for number in range(2):
            child = _command(past, tmp_path, number, "--from", past.day(0))
            rows = await _rows(past)
            try:
                await eventually(
                    partial(_is_at_work, past, rows, child), timeout=60, message="rows are stored"
                )
            finally:
                await child.kill()
            ends.append(child.exit_code)
        assert ends[0] == -signal.SIGKILL, "it was through before it could be killed"
        child = _command(past, tmp_path, 2, "--from", past.day(0))
        # The sandbox's relisted and delisted contracts end inside a day that only the archive's listing dates.
        assert await child.wait(within=240) == 0, child.tail()
        assert "rows" in child.text()
        assert "done:" in child.text()
        truth, stored = past.truth(), await past.stored()
        assert {key: stored.get(key) for key in truth} == truth
        assert stored.keys() <= truth.keys() | {key for key in stored if key[1] >= past.until_ms}
        assert await past.unaccounted() == []


async def _is_at_work(past: Past, than: int, child: Child) -> bool:
    """It has stored rows, or is through with all of them already."""
    return child.exit_code is not None or await _more(past, than)


async def _more(past: Past, than: int) -> bool:
    return await _rows(past) > than + 5_000


async def test_a_dry_run_prints_the_plan_and_does_nothing(database: str, tmp_path: Path) -> None:
    # In the days after the 7th a month that began nine days ago would be read in one file.
    async with open_past(database, tmp_path, start_ms=_THE_20TH_MS) as past:
        child = _command(past, tmp_path, 0, "--from", past.day(0), "--symbols", "BTC*,SOLUSDT", "--dry-run")
        assert await child.wait(within=240) == 0, child.tail()
        lines = child.text().splitlines()
        assert lines[0].startswith(f"missing minutes of BTC*, SOLUSDT from {past.day(0)} to ")
        assert any("files     16 to download" in line for line in lines), child.text()
        assert lines[-1] == "nothing was done (--dry-run)"
        assert await _rows(past) == 0


async def test_ctrl_c_stops_after_what_is_under_way(database: str, tmp_path: Path) -> None:
    async with open_past(database, tmp_path) as past:
        child = _command(past, tmp_path, 0, "--from", past.day(0))
        await eventually(lambda: _more(past, 0), timeout=60)
        child.signal(signal.SIGINT)
        assert await child.wait(within=240) in (0, 130), child.tail()
        assert "Traceback" not in child.text()


async def test_what_retention_would_drop_is_refused_up_front(database: str, tmp_path: Path) -> None:
    async with open_past(database, tmp_path) as past:
        child = _command(past, tmp_path, 0, "--from", past.day(0), RETENTION_DAYS="8", CHUNK_DAYS="1")
        assert await child.wait(within=240) == 78, child.tail()
        assert "RETENTION_DAYS=8" in child.text()
        assert "keep" in child.text() or "ask from" in child.text()
        assert await _rows(past) == 0


async def test_two_at_once_share_the_work_through_the_queue(database: str, tmp_path: Path) -> None:
    """The second finds the lock taken, hands its request over, and takes over when the first is gone."""
    async with open_past(database, tmp_path) as past:
        first = _command(past, tmp_path, 0, "--from", past.day(0), "--symbols", "BTCUSDT")
        await eventually(lambda: _more(past, 0), timeout=60)
        second = _command(past, tmp_path, 1, "--from", past.day(0), "--symbols", "ETHUSDT")
        codes = await asyncio.gather(first.wait(within=240), second.wait(within=240))
        assert list(codes) == [0, 0], f"{first.tail()}\n{second.tail()}"
        symbols = await past.sql("SELECT DISTINCT symbol FROM candles_1m ORDER BY symbol")
        assert symbols == [("BTCUSDT",), ("ETHUSDT",)]


async def test_reconcile_names_what_differs(database: str, tmp_path: Path) -> None:
    async with open_past(database, tmp_path, symbols=1, delisted=0, relisted=0) as past:
        await past.fill(since_ms=past.first_ms + 6 * 86_400_000)
        range_ = ("--from", past.day(6), "--to", past.day(7), "--symbols", "BTCUSDT")
        same = _command(past, tmp_path, 0, *range_, command="reconcile")
        assert await same.wait(within=240) == 0, same.tail()
        assert "no difference" in same.text()
        unknown = _command(past, tmp_path, 2, *range_[:-1], "BTCUSD", command="reconcile")
        assert await unknown.wait(within=240) == 78, unknown.tail()
        assert "symbols BTCUSD: no symbol that is known" in unknown.text()
        await past.sql(
            "UPDATE candles_1m SET close = high WHERE bucket_ts = %s AND symbol = 'BTCUSDT'",
            [f"{past.day(6)} 12:00+00"],
        )
        await past.sql(
            "DELETE FROM candles_1m WHERE bucket_ts = %s AND symbol = 'BTCUSDT'",
            [f"{past.day(6)} 13:00+00"],
        )
        differs = _command(past, tmp_path, 1, *range_, "--json", command="reconcile")
        assert await differs.wait(within=240) == 1, differs.tail()
        found = [(item["open_ms"], item["field"]) for item in json.loads(differs.text())]
        noon = past.first_ms + 6 * 86_400_000 + 43_200_000
        assert found == [(noon, "close"), (noon + 3_600_000, "row")]


async def test_a_running_daemon_does_the_work_and_the_command_follows(database: str, tmp_path: Path) -> None:
    async with open_past(database, tmp_path) as past:
        # The daemon by itself fills two days; the command asks for all nine.
        own = {"METRICS_PORT": "0", "BACKFILL_FROM": "2d"}
        daemon = _command(past, tmp_path, 0, command="--backfill", **own)
        try:
            await eventually(lambda: _more(past, 0), timeout=60, message="the daemon fills by itself")
            child = _command(past, tmp_path, 1, "--from", past.day(0), "--symbols", "BTCUSDT,SOLUSDT")
            assert await child.wait(within=240) == 0, f"{child.tail()}\n{daemon.tail()}"
            assert "handing over" in child.text()
            stored = await past.stored()
            for symbol in ("BTCUSDT", "SOLUSDT"):
                truth = {key: values for key, values in past.truth().items() if key[0] == symbol}
                assert {key: stored.get(key) for key in truth} == truth
            assert await past.sql("SELECT state, detail FROM backfill_requests") == [("done", "complete")]
        finally:
            daemon.signal(signal.SIGTERM)
            code = await daemon.wait(within=40)
        assert code == 0, daemon.tail()
        assert "Traceback" not in daemon.text()
