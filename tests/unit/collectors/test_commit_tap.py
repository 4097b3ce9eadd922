"""Others in the process hear what was committed, and cannot keep it from being stored."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from src.collectors.live.commit_tap import CommitTap
from src.errors import Unavailable
from src.model import Candle, Gap, WriteResult
from tests.support.fakes import make_candle


class Store:
    """A sink that stores everything, or nothing while ``away``."""

    def __init__(self) -> None:
        self.away = False
        self.stored = 0

    async def open(self) -> None:
        return

    async def write(self, candles: Sequence[Candle], gaps: Sequence[Gap]) -> WriteResult:
        if self.away:
            raise Unavailable("away")
        self.stored += len(candles)
        return WriteResult(len(candles), 0, 0)

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None:
        raise AssertionError("nothing is refused here")

    async def close(self) -> None:
        return


async def test_what_was_committed_is_told_and_nothing_else() -> None:
    store = Store()
    heard: list[Sequence[Candle]] = []
    tap = CommitTap(store, [heard.append])
    candles = [make_candle("BTCUSDT"), make_candle("ETHUSDT")]
    assert (await tap.write(candles, [])).inserted == 2
    store.away = True
    with pytest.raises(Unavailable):
        await tap.write(candles, [])
    assert heard == [candles]


async def test_one_that_fails_is_not_told_again_and_costs_nobody_a_candle() -> None:
    store = Store()
    heard: list[Sequence[Candle]] = []

    def fails(_: Sequence[Candle]) -> None:
        raise ZeroDivisionError

    told = [fails, heard.append]
    tap = CommitTap(store, told)
    for _ in range(3):
        await tap.write([make_candle()], [])
    assert (store.stored, len(heard), told) == (3, 3, [heard.append])
