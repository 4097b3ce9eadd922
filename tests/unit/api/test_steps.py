"""Up to when a piece of steps is settled, and where the next one goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from src.api.market.instants import utc
from src.api.market.intervals import INTERVALS
from src.api.market.pieces import Asked, Row
from src.api.market.steps import begin, sweep_steps
from src.model import MINUTE_MS

HOUR = INTERVALS["1h"]
HOUR_MS = HOUR.length_ms


def test_a_row_is_of_the_step_that_ends_with_it() -> None:
    assert [begin(HOUR, ms) // HOUR_MS for ms in (HOUR_MS, HOUR_MS + 1, 2 * HOUR_MS, 2 * HOUR_MS + 1)] == [
        0,
        1,
        1,
        2,
    ]


async def piece_of(asked: Asked, row_ms: int, limit: int = 1) -> tuple[Any, list[tuple[Any, Any]]]:
    spans: list[tuple[Any, Any]] = []

    async def read(values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        spans.append((values["from"], values["to"]))
        return [(1, row_ms, row_ms, "{}")]

    bounds = asked.bounds(0, 10 * HOUR_MS)
    return await sweep_steps(read, {}, asked, bounds, limit, HOUR), spans


@pytest.mark.parametrize(
    ("end_ms", "upto_ms"),
    [(None, 3 * HOUR_MS + 1), (5 * HOUR_MS, 3 * HOUR_MS + 1), (150 * MINUTE_MS, 150 * MINUTE_MS)],
)
async def test_a_step_that_may_still_get_a_newer_row_is_not_settled(end_ms: int | None, upto_ms: int) -> None:
    piece, _ = await piece_of(Asked(2 * HOUR_MS + 1, end_ms, True, None), 2 * HOUR_MS + 20 * MINUTE_MS)
    assert (piece.upto_ms, piece.next) == (upto_ms, f"newer-{2 * HOUR_MS + 20 * MINUTE_MS}-0")


async def test_the_rest_of_the_cursors_step_is_not_read_again() -> None:
    at = Row(2 * HOUR_MS + 20 * MINUTE_MS)
    _, spans = await piece_of(Asked(0, None, True, at), 4 * HOUR_MS)
    assert spans[0][0] == utc(3 * HOUR_MS + 1)
    _, spans = await piece_of(Asked(None, None, False, at), HOUR_MS)
    assert spans[0][1] == utc(2 * HOUR_MS + 1)
