from __future__ import annotations

from dataclasses import replace

import pytest

from src.collectors.listings.selection import Selection
from src.collectors.listings.universe import Universe
from src.collectors.live.attendance import Attendance
from src.collectors.live.buffer import CandleBuffer, Origin
from src.collectors.live.gate import CandleGate
from src.model import MINUTE_MS, ContractStatus
from src.telemetry.metrics import Metrics
from tests.support.fakes import EPOCH_MS, FakeHistory, StepClock, count, make_candle, make_instrument, total

LAST_MS = EPOCH_MS - MINUTE_MS


class Bench:
    def __init__(self) -> None:
        self.clock, self.metrics = StepClock(), Metrics()
        self.universe = Universe(FakeHistory(self.clock), self.clock, self.metrics, Selection())
        self.buffer = CandleBuffer(self.clock, self.metrics)
        self.attendance = Attendance(self.clock)
        self.early = 0
        self.gate = CandleGate(
            self.universe, self.attendance, self.buffer, self.clock, self.metrics, on_early=self._early
        )
        self.universe.adopt(
            [
                make_instrument("BTCUSDT", onboard_ms=EPOCH_MS - 10 * MINUTE_MS + 1000),
                make_instrument("OLDUSDT", status=ContractStatus.SETTLING, delivery_ms=LAST_MS),
            ],
            EPOCH_MS,
        )

    def _early(self) -> None:
        self.early += 1


@pytest.mark.parametrize(
    ("symbol", "open_ms", "reason"),
    [
        ("BTCUSDT", LAST_MS + 1, "not_a_minute"),
        ("BTCUSDT", LAST_MS * 1000, "future"),
        ("BTCUSDT", EPOCH_MS + 3 * MINUTE_MS, "future"),
        ("BTCUSDT", EPOCH_MS, "still_open"),
        ("BTCUSDT", EPOCH_MS - 11 * MINUTE_MS, "outside_listing"),
        ("OLDUSDT", LAST_MS, "outside_listing"),
        ("NEWUSDT", LAST_MS, "unknown_symbol"),
    ],
)
def test_what_cannot_be_right_is_rejected_and_counted(symbol: str, open_ms: int, reason: str) -> None:
    bench = Bench()
    bench.gate.live(make_candle(symbol, open_ms))
    assert bench.gate.fetched([make_candle(symbol, open_ms)], Origin.REPAIR) == 0
    assert len(bench.buffer) == 0
    assert count(bench.metrics, "rows_rejected_total", reason=reason) == 2
    assert total(bench.metrics, "rows_received_total") == 2
    assert bench.attendance.live_rows == 0


@pytest.mark.parametrize("minutes", [1, 10])
def test_minutes_of_the_listing_pass_the_first_partial_one_included(minutes: int) -> None:
    bench = Bench()
    bench.gate.live(make_candle(open_ms=EPOCH_MS - minutes * MINUTE_MS))
    assert len(bench.buffer) == 1
    assert count(bench.metrics, "rows_received_total", source="binance_ws") == 1


def test_a_closed_frame_may_be_early_for_our_clock_a_rest_row_may_not() -> None:
    bench = Bench()
    bench.clock.advance(-1.5)
    bench.gate.live(make_candle(open_ms=LAST_MS))
    assert bench.gate.fetched([make_candle(open_ms=LAST_MS)], Origin.ROLL_CALL) == 0
    assert (len(bench.buffer), bench.early) == (1, 0)
    bench.clock.advance(-10)
    bench.gate.live(make_candle(open_ms=LAST_MS))
    assert (total(bench.metrics, "rows_rejected_total"), bench.early) == (1, 1)
    bench.clock.advance(-5)
    bench.gate.live(make_candle(open_ms=LAST_MS))
    assert (count(bench.metrics, "rows_rejected_total", reason="still_open"), bench.early) == (2, 2)


def test_a_frame_hours_late_is_rejected_and_one_a_minute_late_is_doubted() -> None:
    bench = Bench()
    bench.clock.advance(600.001)
    bench.gate.live(make_candle(open_ms=LAST_MS))
    bench.gate.live(make_candle(open_ms=EPOCH_MS // 1000))
    assert count(bench.metrics, "rows_rejected_total", reason="too_late") == 2
    bench.gate.live(make_candle(open_ms=LAST_MS + 9 * MINUTE_MS))
    bench.gate.live(make_candle(open_ms=LAST_MS + 8 * MINUTE_MS))
    bench.gate.live(make_candle(open_ms=LAST_MS + 10 * MINUTE_MS))
    assert bench.attendance.take_doubtful() == {"BTCUSDT": LAST_MS + 8 * MINUTE_MS}
    assert bench.attendance.take_doubtful() == {}


def test_the_register_knows_which_way_a_candle_came() -> None:
    bench = Bench()
    bench.gate.live(make_candle(open_ms=LAST_MS))
    bench.gate.fetched([replace(make_candle(open_ms=LAST_MS - MINUTE_MS), trade_count=0)], Origin.ROLL_CALL)
    assert bench.attendance.missing(LAST_MS, ["BTCUSDT", "ETHUSDT"]) == ["ETHUSDT"]
    assert bench.attendance.missing(LAST_MS - MINUTE_MS, ["BTCUSDT"]) == []
    assert list(bench.attendance.unheard(LAST_MS - MINUTE_MS)) == ["BTCUSDT"]
    assert bench.attendance.unheard(LAST_MS) == {}
    assert bench.attendance.quiet(LAST_MS - MINUTE_MS) == 1
    assert bench.attendance.stale(["BTCUSDT", "ETHUSDT"], EPOCH_MS - 150_000) == 1


def test_the_register_forgets_old_minutes_and_symbols() -> None:
    bench = Bench()
    bench.gate.fetched([make_candle(open_ms=EPOCH_MS - 9 * MINUTE_MS)], Origin.REPAIR)
    assert bench.attendance.missing(EPOCH_MS - 9 * MINUTE_MS, ["BTCUSDT"]) == ["BTCUSDT"]
    bench.gate.live(make_candle(open_ms=LAST_MS))
    bench.attendance.forget(LAST_MS + 6 * MINUTE_MS)
    bench.attendance.forget_symbols([])
    assert bench.attendance.missing(LAST_MS, ["BTCUSDT"]) == ["BTCUSDT"]
    assert bench.attendance.stale(["BTCUSDT"], 0) == 0
    assert bench.attendance.stale(["BTCUSDT"], MINUTE_MS) == 1
