"""An import needs no more than the rights of the daemon's own role."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from src.model import DAY_MS, MINUTE_MS, WriteResult
from tests.integration.timescale.helpers import CANDLE, fetch, opened
from tests.integration.timescale.test_roles import writer_url as writer_url
from tests.support.cluster import Cluster
from tests.support.zips import FIRST_MS, csv_row, csv_text

from .files import DAY, importer, list_symbol, local_file


async def test_the_writers_role_may_import(cluster: Cluster, writer_url: str, tmp_path: Path) -> None:
    await list_symbol(cluster.url, "BTCUSDT")
    local = local_file(tmp_path, csv_text() + b"1,2,3\n")
    async with importer(writer_url) as imports, opened(writer_url) as store:
        await store.write(
            [replace(CANDLE, open_ms=FIRST_MS - MINUTE_MS)], []
        )  # a day that is loaded straight
        result = await imports.import_file(local.file, local.path, local.sha256)
        assert result == WriteResult(1440, 0, 0)
        await store.write([replace(CANDLE, open_ms=FIRST_MS + DAY_MS)], [])  # and one that is merged into
        day = f"{csv_row(1440)}\n{csv_row(1441)}\n".encode()
        second = local_file(tmp_path, day, day=DAY + timedelta(days=1))
        assert await imports.import_file(second.file, second.path, second.sha256) == WriteResult(1, 1, 0, 1)
    assert await fetch(writer_url, "SELECT state FROM archive_files") == [("imported",)] * 2
    assert await fetch(writer_url, "SELECT reason FROM rejected_rows") == [("columns",)]
