"""``marketd plot arbitrage``: a whole picture, or words that say what is missing. How it looks is for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.analysis.arbitrage import compute as arbitrage_compute
from src.analysis.prices import compute as price_compute
from src.cli import main
from tests.integration.arbitrage.world import END_MS, POOL, START_MS, SYMBOL, World, iso, stored_world


@pytest.fixture
async def world(database: str) -> World:
    return await stored_world(database)


def test_a_batch_is_drawn(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", world.url)
    out = tmp_path / "arbitrage.png"
    assert main(["plot", "arbitrage", SYMBOL, "--out", str(out)]) != 0
    assert f"{SYMBOL}: no opportunities are stored" in capsys.readouterr().err
    for mode in ("screen", "execution"):
        strategy = {"pool": POOL.address, "mode": mode, "initial_investment": 3_000, "profit_threshold": 5}
        report = world.run(arbitrage_compute.compute, batch_id=None, overwrite=True, strategy=strategy)
        assert main(["plot", "arbitrage", SYMBOL.lower(), "--out", str(out)]) == 0, "without price series"
        said = capsys.readouterr().out
        assert f"{report['written']} of {mode}, batch {report['batch_id']}, " in said
    world.run(
        price_compute.compute,
        exchange="binance_spot",
        symbol=None,
        chain=None,
        pool=POOL.address,
        start_ms=START_MS,
        end_ms=END_MS,
        interval_seconds=60,
        overwrite=False,
    )
    bare = out.read_bytes()
    assert main(["plot", "arbitrage", SYMBOL, "--out", str(out), "--batch", str(report["batch_id"])]) == 0
    assert out.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert out.read_bytes() != bare
    day = iso(END_MS)[:10]
    assert main(["plot", "arbitrage", SYMBOL, "--out", str(out), "--to", "2020-01-01", "--from", day]) != 0
    assert list(tmp_path.iterdir()) == [out]
