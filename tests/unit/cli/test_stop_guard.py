from __future__ import annotations

import signal
import threading

from src.cli.daemon import StopGuard


def test_what_does_not_stop_in_time_is_ended_with_the_signals_code() -> None:
    ended, codes = threading.Event(), list[int]()

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    guard = StopGuard(0.01, end)
    guard.watch()
    assert not ended.wait(0.2), "nobody has asked it to stop"
    guard.start(signal.SIGINT)
    assert ended.wait(60)
    assert codes == [130]


def test_no_thread_is_made_when_it_is_time_to_stop() -> None:
    before = threading.active_count()
    StopGuard().start(signal.SIGTERM)
    assert threading.active_count() <= before
