from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.collectors.live.batch_size import BatchSize

_MOST = 20_000


def test_what_took_too_long_is_halved_until_it_fits_and_grows_back() -> None:
    size = BatchSize(_MOST)
    tries = []
    while size.rows > 300:
        tries.append(size.rows)
        size.failed(size.rows, "statement_timeout")
    assert tries == [20_000, 10_000, 5_000, 2_500, 1_250, 625, 312]
    commits = 0
    while size.rows < _MOST:
        size.committed()
        commits += 1
    assert 20 <= commits <= 60


def test_a_batch_that_was_smaller_than_allowed_is_what_is_halved() -> None:
    size = BatchSize(_MOST)
    size.failed(200, "deadline")
    assert size.rows == 100


@pytest.mark.parametrize("reason", ["connection", "lock_timeout", "deadlock", "resources"])
def test_other_failures_say_nothing_about_the_size(reason: str) -> None:
    size = BatchSize(_MOST)
    size.failed(_MOST, reason)
    assert size.rows == _MOST


@given(st.integers(1, 30_000), st.lists(st.one_of(st.none(), st.integers(0, 30_000)), max_size=80))
def test_it_stays_between_one_row_and_the_most(most: int, events: list[int | None]) -> None:
    size = BatchSize(most)
    for rows in events:
        if rows is None:
            size.committed()
        else:
            size.failed(rows, "statement_timeout")
        assert 1 <= size.rows <= most
