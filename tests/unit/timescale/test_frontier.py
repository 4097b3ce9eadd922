"""Which flushes are new for certain, against a twin that remembers every row."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from src.adapters.timescale.candles.frontier import Frontier
from src.adapters.timescale.rows import winners
from src.model import MINUTE_MS, Candle
from tests.support.fakes import make_candle

_CANDLES = st.builds(
    lambda symbol, minute: replace(make_candle(symbol, 0), open_ms=minute * MINUTE_MS),
    st.sampled_from(["AUSDT", "BUSDT", "CUSDT"]),
    st.integers(0, 4),
)
_FLUSHES = st.lists(st.tuples(st.lists(_CANDLES, max_size=4).map(winners), st.booleans()), max_size=8)


@given(_FLUSHES)
def test_rows_lie_beyond_only_if_every_older_row_of_their_symbols_is_too(
    flushes: list[tuple[list[Candle], bool]],
) -> None:
    frontier, committed = Frontier(), list[Candle]()
    for rows, succeeds in flushes:
        symbols = [row.symbol for row in rows]
        known = {row.symbol for row in committed}
        assert frontier.lies_before(rows) == (
            bool(rows)
            and len(set(symbols)) == len(symbols)
            and all(
                row.symbol in known
                and all(row.open_ms > other.open_ms for other in committed if other.symbol == row.symbol)
                for row in rows
            )
        )
        if succeeds:
            frontier.advance(rows)
            committed += rows


def test_a_new_session_has_no_frontier() -> None:
    frontier = Frontier()
    frontier.advance([make_candle("AUSDT", 0)])
    later = [make_candle("AUSDT", MINUTE_MS)]
    assert frontier.lies_before(later)
    frontier.forget()
    assert not frontier.lies_before(later)
