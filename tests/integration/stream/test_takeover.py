"""Before the venue's 24 h cut a new connection takes over, and no candle is missing (A6)."""

from __future__ import annotations

from collections import Counter

from src.adapters.binance.venue import CANARY_STREAM, CONTRACT_STREAM
from src.clock import VenueClock
from src.sandbox import Sandbox
from tests.support.eventually import eventually

from .listening import assert_complete, assert_true, listening, symbols_of

_OWN = {CANARY_STREAM, CONTRACT_STREAM}


async def test_connections_are_replaced_before_the_cut_without_losing_a_candle(
    sandbox: Sandbox, clock: VenueClock
) -> None:
    symbols = symbols_of(sandbox)
    cut = sandbox.control.max_age(400.0)
    options = {"streams_per_connection": 22, "takeover_age_s": 100.0, "takeover_jitter_s": 40.0}
    async with listening(sandbox.ws_url, clock, symbols, **options) as listener:
        await listener.subscribed(len(symbols))
        await eventually(lambda: listener.count("ws_reconnects_total", reason="lifetime") >= 6, timeout=60)
        await listener.fresh(symbols)
        ages = [one["age_s"] for one in sandbox.control.connections()]
    assert listener.by_label("ws_reconnects_total").keys() == {"lifetime"}
    assert not cut.fired
    assert max(ages) < 400
    assert_complete(listener.candles, symbols)
    assert_true(sandbox, listener.candles)


async def test_one_connection_is_replaced_at_a_time_and_the_old_one_stays_until_the_new_delivers(
    sandbox: Sandbox, clock: VenueClock
) -> None:
    symbols = symbols_of(sandbox)
    options = {"streams_per_connection": 12, "takeover_age_s": 60.0, "takeover_jitter_s": 0.0}
    async with listening(sandbox.ws_url, clock, symbols, **options) as listener:
        await listener.subscribed(len(symbols))
        slots = len(sandbox.control.connections())
        most: Counter[str] = Counter()

        def watched() -> bool:
            open_now = sandbox.control.connections()
            most["open"] = max(most["open"], len(open_now))
            held = {name for one in open_now for name in one["streams"]}
            assert sum("@kline_1m" in name for name in held) == len(symbols), "a symbol is on no connection"
            return listener.count("ws_reconnects_total", reason="lifetime") >= slots

        await eventually(watched, timeout=60)
    assert most["open"] == slots + 1


async def test_a_replacement_that_cannot_connect_leaves_the_old_one_at_work(
    sandbox: Sandbox, clock: VenueClock
) -> None:
    symbols = symbols_of(sandbox)[:6]
    async with listening(
        sandbox.ws_url, clock, symbols, takeover_age_s=60.0, takeover_jitter_s=0.0
    ) as listener:
        await listener.subscribed(6)
        sandbox.control.handshake(503, count=2)
        await eventually(lambda: listener.count("ws_reconnects_total", reason="lifetime") >= 1, timeout=60)
        await listener.fresh(symbols)
    assert listener.count("ws_reconnects_total", reason="handshake_5xx") == 2
    assert_complete(listener.candles, symbols)


async def test_a_replacement_that_stays_silent_leaves_the_old_one_at_work(
    sandbox: Sandbox, clock: VenueClock
) -> None:
    symbols = symbols_of(sandbox)[:6]
    async with listening(
        sandbox.ws_url, clock, symbols, takeover_age_s=60.0, takeover_jitter_s=0.0, idle_floor_wall=1.5
    ) as listener:
        await listener.subscribed(6)
        sandbox.control.silence(connection=1)
        await eventually(lambda: listener.count("ws_reconnects_total", reason="lifetime") >= 1, timeout=60)
        await listener.fresh(symbols)
    assert listener.count("ws_reconnects_total", reason="idle") == 1
    assert_complete(listener.candles, symbols)


async def test_a_shutdown_that_is_announced_is_answered_by_a_replacement(
    sandbox: Sandbox, clock: VenueClock
) -> None:
    symbols = symbols_of(sandbox)[:6]
    async with listening(sandbox.ws_url, clock, symbols) as listener:
        await listener.subscribed(6)
        sandbox.control.shutdown_event(then_close=False)
        await eventually(
            lambda: listener.count("ws_reconnects_total", reason="server_shutdown") == 1, timeout=60
        )
        await listener.fresh(symbols)
        await listener.fresh(symbols)
    assert_complete(listener.candles, symbols)


async def test_a_connection_that_dies_in_the_queue_for_its_replacement_is_not_left_waiting(
    sandbox: Sandbox, clock: VenueClock
) -> None:
    symbols = symbols_of(sandbox)
    options = {"streams_per_connection": 12, "takeover_quiet_s": 6000.0, "takeover_deadline_s": 6000.0}

    def carried() -> dict[int, frozenset[str]]:
        return {one["number"]: frozenset(one["streams"]) for one in sandbox.control.connections()}

    async with listening(sandbox.ws_url, clock, symbols, **options) as listener:
        await listener.subscribed(len(symbols))
        before = carried()
        sandbox.control.mute()
        sandbox.control.shutdown_event(then_close=False)
        await eventually(
            lambda: len(carried()) > len(before) and all(held > _OWN for held in carried().values())
        )
        (replacing,) = carried().keys() - before.keys()
        queued = next(
            number for number, streams in before.items() if not streams & carried()[replacing] - _OWN
        )
        sandbox.control.reset(connection=queued)
        await eventually(
            lambda: any(
                before[queued] <= streams for number, streams in carried().items() if number != queued
            ),
            message="the symbols of the dead connection are subscribed again",
        )
        assert carried().keys() > {replacing}, "the take-over that was under way has ended"
        sandbox.control.clear()
        await eventually(lambda: listener.count("ws_reconnects_total", reason="server_shutdown") >= 3)
        await listener.fresh(symbols)
    assert_true(sandbox, listener.candles)
