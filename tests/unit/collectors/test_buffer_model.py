"""The buffer against a naive model of itself: whatever happens in whatever order, every row is accounted for."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from src.collectors.live.buffer import CandleBuffer, Origin, Row
from src.model import MINUTE_MS, Authority, Candle, Gap
from src.telemetry.metrics import Metrics
from tests.support.fakes import EPOCH_MS, StepClock, make_candle, total

_CAPACITY = 6


class BufferMachine(RuleBasedStateMachine):
    """The model: a list of waiting candles in order of arrival, a list in flight, and sums."""

    def __init__(self) -> None:
        super().__init__()
        self.metrics = Metrics()
        self.buffer = CandleBuffer(StepClock(), self.metrics, capacity=_CAPACITY)
        self.waiting: list[Candle] = []
        self.flight: list[Candle] = []
        self.rows: list[Row] = []
        self.gaps: list[Gap] = []
        self.received = self.committed = self.deduped = self.rejected = self.dropped = 0
        self.owed: set[tuple[str, int]] = set()

    @rule(
        symbol=st.sampled_from(["AUSDT", "BUSDT", "币安人生USDT"]),
        minute=st.integers(0, 3),
        authority=st.sampled_from([Authority.STREAM, Authority.REST]),
        trades=st.integers(0, 3),
        origin=st.sampled_from(Origin),
    )
    def put(self, symbol: str, minute: int, authority: Authority, trades: int, origin: Origin) -> None:
        row = make_candle(symbol, EPOCH_MS + minute * MINUTE_MS, trade_count=trades, authority=authority)
        self.buffer.put(replace(row, volume=float(trades)), origin)
        self._put(replace(row, volume=float(trades)))

    def _put(self, row: Candle) -> None:
        self.received += 1
        for index, known in enumerate(self.waiting):
            if known.key == row.key:
                self.waiting[index] = max(known, row, key=lambda candle: candle.rank)
                self.deduped += 1
                return
        if any(known.key == row.key and row.rank <= known.rank for known in self.flight):
            self.deduped += 1
            return
        self.waiting.append(row)
        while self.waiting and len(self.waiting) + len(self.flight) > _CAPACITY:
            gone = self.waiting.pop(0)
            self.dropped += 1
            if gone.key not in [known.key for known in self.flight]:
                self.owed.add(gone.key)

    @precondition(lambda self: not self.flight and self.waiting)
    @rule(rows=st.integers(1, 4))
    def take(self, rows: int) -> None:
        self.rows, self.gaps = self.buffer.take(rows), self.buffer.take_gaps()
        self.flight, self.waiting = self.waiting[:rows], self.waiting[rows:]
        assert [row.candle for row in self.rows] == sorted(self.flight, key=lambda row: row.key)

    @precondition(lambda self: self.flight)
    @rule()
    def commit_all(self) -> None:
        self.buffer.commit(self.rows, self.gaps)
        self.owed -= {
            (gap.symbol, minute) for gap in self.gaps for minute in range(gap.from_ms, gap.to_ms, MINUTE_MS)
        }
        self.committed += len(self.flight)
        self.flight, self.rows, self.gaps = [], [], []

    @precondition(lambda self: self.flight)
    @rule(index=st.integers(0, 3))
    def reject_one(self, index: int) -> None:
        row = self.rows.pop(index % len(self.rows))
        self.buffer.reject(row, "check_violation")
        self.flight.remove(row.candle)
        self.rejected += 1

    @precondition(lambda self: self.flight)
    @rule(index=st.integers(0, 3))
    def commit_one_of_a_bisected_batch(self, index: int) -> None:
        row = self.rows.pop(index % len(self.rows))
        self.buffer.commit([row])
        self.flight.remove(row.candle)
        self.committed += 1

    @rule()
    def restore(self) -> None:
        self.buffer.restore()
        newer = {row.key for row in self.waiting}
        self.deduped += sum(row.key in newer for row in self.flight)
        by_key = {row.key: row for row in self.waiting}
        front = [by_key.get(row.key, row) for row in self.flight]
        self.waiting = front + [row for row in self.waiting if row not in front]
        self.flight, self.rows, self.gaps = [], [], []

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.received == self.committed + self.deduped + self.rejected + self.dropped + len(
            self.buffer
        )
        assert len(self.buffer) == len(self.waiting) + len(self.flight) <= _CAPACITY + len(self.flight)

    @invariant()
    def counters_tell_the_same(self) -> None:
        assert total(self.metrics, "rows_deduped_total") == self.deduped
        assert total(self.metrics, "rows_dropped_total") == self.dropped
        assert total(self.metrics, "rows_rejected_total") == self.rejected
        assert total(self.metrics, "buffer_rows") == len(self.waiting) + len(self.flight)

    @invariant()
    def dropped_minutes_are_remembered(self) -> None:
        if not self.flight:
            gaps = self.buffer.take_gaps()
            covered = {
                (gap.symbol, minute) for gap in gaps for minute in range(gap.from_ms, gap.to_ms, MINUTE_MS)
            }
            self.buffer.restore()
            assert covered == self.owed

    def teardown(self) -> None:
        self.restore()
        assert [row.candle for row in self.buffer.take(99)] == sorted(self.waiting, key=lambda row: row.key)


TestBuffer = BufferMachine.TestCase
TestBuffer.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
