"""What is wrong with the archive or missing at the venue, and what the filling makes of it (docs/faults.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from src.collectors.backfill.plan import Source
from src.model import DAY_MS, MINUTE_MS
from tests.support.moments import MIDDAY_MS

from .past import Past, open_past

SYMBOLS = {"symbols": 2, "delisted": 0, "relisted": 0, "start_ms": MIDDAY_MS}


async def _control(past: Past, command: str, **arguments: Any) -> Any:
    url = f"{past.sandbox.control_url}/{command}"
    async with aiohttp.ClientSession() as session, session.post(url, json=arguments) as answer:
        assert answer.status == 200, await answer.text()
        return (await answer.json())["result"]


async def _equals_truth(past: Past) -> None:
    truth, stored = past.truth(), await past.stored()
    assert [key for key in truth if stored.get(key) != truth[key]][:3] == []
    assert stored.keys() == truth.keys()
    assert await past.unaccounted() == []


async def _state(past: Past) -> tuple[str, int]:
    [row] = await past.sql(
        "SELECT state, attempts FROM archive_files WHERE path LIKE %s", [f"%BTCUSDT-1m-{past.day(2)}.zip"]
    )
    return row[0], row[1]


async def test_d3_a_checksum_wrong_for_good_is_put_aside_and_rest_gives_the_rows(
    database: str, tmp_path: Path
) -> None:
    async with open_past(database, tmp_path, **SYMBOLS) as past:
        await _control(past, "archive", mode="checksum", path=f"*BTCUSDT-1m-{past.day(2)}.zip")
        await past.fill()
        assert await _state(past) == ("quarantined", 1)
        await _equals_truth(past)
        spent = past.requests()
        await past.fill()
        assert past.requests() == spent


async def test_d9_what_only_the_file_lacks_comes_from_rest(database: str, tmp_path: Path) -> None:
    async with open_past(database, tmp_path, **SYMBOLS) as past:
        await _control(past, "archive", mode="gaps", path=f"*BTCUSDT-1m-{past.day(2)}.zip", share=0.1)
        await past.fill()
        assert (await _state(past))[0] == "imported"
        await _equals_truth(past)
        [(rest,)] = await past.sql(
            "SELECT count(*) FROM candles_1m WHERE source = 'binance_rest' AND symbol = 'BTCUSDT'"
            " AND (bucket_ts AT TIME ZONE 'UTC')::date = %s",
            [past.day(2)],
        )
        assert 20 < rest < 400
        assert await past.sql("SELECT count(*) FROM absent_minutes") == [(0,)]


async def test_d9_what_nobody_has_is_absent_with_both_proofs(database: str, tmp_path: Path) -> None:
    async with open_past(database, tmp_path, **SYMBOLS) as past:
        first = (past.first_ms + 2 * DAY_MS) + 100 * MINUTE_MS
        assert await _control(past, "lose", symbol="BTCUSDT", from_ms=first, to_ms=first + 5 * MINUTE_MS) == 5
        result = await past.fill()
        assert result.left == 0
        rows = await past.sql(
            "SELECT (extract(epoch FROM ts) * 1000)::bigint, archive_path LIKE %s, length(archive_sha256)"
            " FROM absent_minutes ORDER BY ts",
            [f"%BTCUSDT-1m-{past.day(2)}.zip"],
        )
        assert rows == [(first + n * MINUTE_MS, True, 64) for n in range(5)]
        await _equals_truth(past)


async def test_b11_rows_without_trades_never_replace_rows_with_trades(database: str, tmp_path: Path) -> None:
    async with open_past(database, tmp_path, **SYMBOLS) as past:
        await past.fill(source=Source.REST, since_ms=(past.first_ms + 2 * DAY_MS))
        before = await past.stored()
        await _control(past, "archive", mode="zero_volume", path="*BTCUSDT-1m-*.zip", share=0.2)
        await past.fill(force=True, since_ms=(past.first_ms + 2 * DAY_MS))
        after = await past.stored()
        assert {key: after[key] for key in before} == before
        rejected = past.core.metrics.registry.get_sample_value(
            "marketd_rows_rejected_total", {"reason": "archive_zero"}
        )
        assert rejected
        assert rejected > 100


async def test_d12_b10_a_file_published_again_is_read_again(database: str, tmp_path: Path) -> None:
    async with open_past(database, tmp_path, **SYMBOLS) as past:
        verifier = past.history.verifier
        await past.fill()
        while await verifier.compare():
            pass
        assert await verifier.read_again() == 0
        changed = (past.first_ms + 2 * DAY_MS) + 200 * MINUTE_MS
        await _control(past, "republish", symbol="BTCUSDT", open_ms=changed)
        assert await verifier.read_again() == 0, "the listing was read less than a week ago"
        await past.sql("UPDATE archive_listings SET read_at = read_at - interval '8 days'")
        assert await verifier.read_again() >= 1
        revisions = await past.sql(
            "SELECT symbol, (extract(epoch FROM bucket_ts) * 1000)::bigint, authority, new_authority, new_revision"
            " FROM candle_revisions"
        )
        assert revisions == [("BTCUSDT", changed, 3, 3, 1)]


async def test_every_complete_day_is_verified_once(database: str, tmp_path: Path) -> None:
    async with open_past(database, tmp_path, **SYMBOLS) as past:
        await past.fill(source=Source.REST, since_ms=(past.first_ms + 2 * DAY_MS))
        verifier = past.history.verifier
        while await verifier.compare():
            pass
        days = await past.sql(
            "SELECT day FROM coverage_days WHERE state = 'complete' AND verified_at IS NULL AND day <= %s",
            [past.day(7)],
        )
        assert days == []
        spent = past.requests()
        assert await verifier.compare() == 0
        assert past.requests() == spent


async def test_d17_a_folder_that_cannot_be_written_costs_no_row_of_rest(
    database: str, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "archive"
    in_the_way.write_text("a file where the folder should be")
    async with open_past(database, in_the_way, **SYMBOLS) as past:
        result = await past.fill()
        assert result.trouble == "folder"
        newest = await past.sql("SELECT min(bucket_ts)::date::text FROM candles_1m")
        assert newest == [(past.day(8),)]
        in_the_way.unlink()
        await past.fill()
        await _equals_truth(past)
