"""Connections that end, hang or lie: each is noticed, named and made anew (faults A1 to A8, A12, A15 to A17)."""

from __future__ import annotations

import asyncio
import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from src.adapters.binance.stream import shared as stream_shared
from src.adapters.binance.stream.reasons import REASONS
from src.clock import VenueClock
from src.sandbox import Sandbox
from tests.support.chaosproxy import ChaosProxy
from tests.support.eventually import eventually

from .listening import Listener, assert_true, listening, symbols_of, windows_told


async def _ended(listener: Listener, reason: str, times: int = 1) -> None:
    await eventually(
        lambda: listener.count("ws_reconnects_total", reason=reason) >= times,
        timeout=60,
        message=f"{times} x {reason}",
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, "close_1000"),
        (1001, "close_1001"),
        (1006, "fin"),
        (1008, "policy"),
        (1009, "close_1009"),
        (1011, "close_1011"),
        (1012, "close_1012"),
        (1013, "close_1013"),
        (3000, "close_other"),
    ],
)
async def test_a_closed_connection_comes_back(
    sandbox: Sandbox, clock: VenueClock, code: int, reason: str
) -> None:
    symbols = symbols_of(sandbox)[:6]
    async with listening(sandbox.ws_url, clock, symbols) as listener:
        await listener.subscribed(6)
        assert sandbox.control.close(code) == 1
        await _ended(listener, reason)
        await listener.fresh(symbols)
    assert reason in REASONS
    assert_true(sandbox, listener.candles)


async def test_a_reset_is_told_from_a_fin_and_all_come_back_one_after_the_other(
    sandbox: Sandbox, clock: VenueClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = windows_told(monkeypatch, stream_shared, 1.0)
    symbols = symbols_of(sandbox)
    async with listening(sandbox.ws_url, clock, symbols, streams_per_connection=12) as listener:
        await listener.subscribed(len(symbols))
        before = len(sandbox.venue.stats.attempts)
        cut = sandbox.control.reset()
        assert cut >= 4
        await _ended(listener, "reset", cut)
        await listener.fresh(symbols)
        attempts = len(sandbox.venue.stats.attempts)
    [permitted] = windows
    assert attempts == len(permitted) == before + cut
    # Never more than two in a venue second, whatever the dice say.
    assert all(third - first > 0.999_999 for first, third in zip(permitted, permitted[2:], strict=False))


async def test_a_connection_that_never_delivers_is_given_up(sandbox: Sandbox, clock: VenueClock) -> None:
    """Acks and pongs go on: the legacy address behaves like this, and so does a stuck server."""
    symbols = symbols_of(sandbox)[:6]
    fault = sandbox.control.silence()
    async with listening(sandbox.ws_url, clock, symbols, idle_floor_wall=0.5) as listener:
        await _ended(listener, "idle", 2)
        assert listener.count("symbols_subscribed") == 0
        assert fault.fired
        sandbox.control.clear()
        await listener.fresh(symbols)


async def test_a_connection_that_falls_silent_is_given_up(sandbox: Sandbox, clock: VenueClock) -> None:
    symbols = symbols_of(sandbox)[:6]
    async with listening(sandbox.ws_url, clock, symbols, idle_floor_wall=0.5) as listener:
        await listener.subscribed(6)
        sandbox.control.silence(connection=0)
        await _ended(listener, "idle")
        await listener.fresh(symbols)


async def test_quiet_symbols_do_not_make_a_connection_dead(sandbox: Sandbox, clock: VenueClock) -> None:
    symbols = symbols_of(sandbox)[:6]
    async with listening(sandbox.ws_url, clock, symbols, idle_floor_wall=1.5) as listener:
        await listener.subscribed(6)
        sandbox.control.mute()
        opened = listener.count("ws_frames_total", kind="open")
        canaries = listener.count("ws_frames_total", kind="canary")
        await eventually(lambda: listener.count("ws_frames_total", kind="canary") > canaries + 90, timeout=60)
        assert listener.count("ws_frames_total", kind="open") <= opened + 24
        assert listener.total("ws_reconnects_total") == 0


async def test_a_half_open_connection_is_given_up(sandbox: Sandbox, clock: VenueClock) -> None:
    symbols = symbols_of(sandbox)[:6]
    async with ChaosProxy(("127.0.0.1", sandbox.port)) as proxy:
        url = f"ws://127.0.0.1:{proxy.port}/market"
        async with listening(url, clock, symbols, idle_floor_wall=0.5) as listener:
            await listener.subscribed(6)
            proxy.up.blackhole = proxy.down.blackhole = True
            await _ended(listener, "idle")
            assert proxy.fired["blackholed_bytes"]
            proxy.heal()
            await listener.fresh(symbols)


@pytest.mark.parametrize("fault", [{"latency": 0.6}, {"rate": 20_000.0}, {"slice": 7}])
async def test_a_slow_line_is_slow_and_not_dead(
    sandbox: Sandbox, clock: VenueClock, fault: dict[str, float]
) -> None:
    symbols = symbols_of(sandbox)[:4]
    async with ChaosProxy(("127.0.0.1", sandbox.port)) as proxy:
        for path in (proxy.up, proxy.down):
            for name, value in fault.items():
                setattr(path, name, value)
        url = f"ws://127.0.0.1:{proxy.port}/market"
        async with listening(url, clock, symbols, idle_floor_wall=0.5) as listener:
            await listener.fresh(symbols)
            await listener.fresh(symbols)
            assert listener.total("ws_reconnects_total") == 0
        assert proxy.fired.keys() & {"latency", "throttled", "sliced"}
    assert_true(sandbox, listener.candles)


async def test_frames_that_mean_nothing_cost_no_connection(sandbox: Sandbox, clock: VenueClock) -> None:
    symbols = symbols_of(sandbox)[:6]
    async with listening(sandbox.ws_url, clock, symbols) as listener:
        await listener.subscribed(6)
        sent = sandbox.control.malformed()
        assert sent > 10
        await eventually(lambda: listener.count("ws_frames_total", kind="malformed") > 0)
        await listener.fresh(symbols)
        assert listener.total("ws_reconnects_total") == 0
        assert listener.total("rows_rejected_total") > 0
    assert_true(sandbox, listener.candles)


async def test_a_frame_of_100_mb_is_refused_without_holding_it(sandbox: Sandbox, clock: VenueClock) -> None:
    symbols = symbols_of(sandbox)[:6]
    async with listening(sandbox.ws_url, clock, symbols) as listener:
        await listener.subscribed(6)
        before = _resident_bytes()
        sandbox.control.malformed(["huge"])
        await _ended(listener, "oversize")
        # The sandbox runs in this process and holds a piece of its own.
        assert _resident_bytes() - before < 40_000_000
        await eventually(lambda: sandbox.venue.stats.disconnects["client 1009"] == 1)
        await listener.fresh(symbols)


@pytest.mark.parametrize("name", ["unfinished", "cut"])
async def test_a_message_that_never_ends_ends_the_connection(
    sandbox: Sandbox, clock: VenueClock, name: str
) -> None:
    symbols = symbols_of(sandbox)[:6]
    async with listening(sandbox.ws_url, clock, symbols, idle_floor_wall=0.5) as listener:
        await listener.subscribed(6)
        sandbox.control.malformed([name])
        await eventually(lambda: listener.total("ws_reconnects_total") >= 1)
        await listener.fresh(symbols)
    assert set(listener.by_label("ws_reconnects_total")) <= {"idle", "oversize", "fin"}


@pytest.mark.parametrize(
    ("status", "reason", "longer"),
    [
        (403, "handshake_403", True),
        (418, "handshake_429", True),
        (429, "handshake_429", True),
        (451, "handshake_451", True),
        (500, "handshake_5xx", False),
        (503, "handshake_5xx", False),
        (200, "handshake_other", False),
        (302, "handshake_other", False),
        (0, "network", False),
    ],
)
async def test_a_refused_handshake_is_named_and_not_hammered(
    sandbox: Sandbox, clock: VenueClock, status: int, reason: str, longer: bool
) -> None:
    symbols = symbols_of(sandbox)[:6]
    fault = sandbox.control.handshake(status, html=True, location="http://192.0.2.1/market/stream", count=2)
    async with listening(sandbox.ws_url, clock, symbols) as listener:
        await listener.subscribed(6, timeout=60)
    attempts = [one.at_ms for one in sandbox.venue.stats.attempts]
    assert fault.fired == 2
    assert listener.by_label("ws_reconnects_total") == {reason: 2}
    assert all(later - earlier > (9_900 if longer else 900) for earlier, later in pairwise(attempts))


async def test_attempts_are_capped_over_all_connections(
    sandbox: Sandbox, clock: VenueClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = windows_told(monkeypatch, stream_shared, 100.0)
    sandbox.control.handshake(503)
    options = {"streams_per_connection": 12, "attempts": 10, "attempt_window_s": 100.0, "backoff_cap_s": 1.0}
    async with listening(sandbox.ws_url, clock, symbols_of(sandbox), **options):
        await eventually(lambda: len(sandbox.venue.stats.attempts) >= 25, timeout=60)
    [permitted] = windows
    assert len(permitted) >= len(sandbox.venue.stats.attempts) >= 25
    assert all(last - first > 99.999_999 for first, last in zip(permitted, permitted[10:], strict=False))


async def test_a_venue_that_is_away_at_the_start_is_waited_for(clock: VenueClock, sandbox: Sandbox) -> None:
    symbols = symbols_of(sandbox)[:6]
    async with ChaosProxy(("127.0.0.1", sandbox.port)) as proxy:
        await proxy.refuse()
        async with listening(f"ws://127.0.0.1:{proxy.port}/market", clock, symbols) as listener:
            await _ended(listener, "refused", 2)
            await proxy.listen()
            await listener.fresh(symbols)


async def test_a_stall_of_our_own_loop_is_not_held_against_the_venue(
    sandbox: Sandbox, clock: VenueClock
) -> None:
    """The sandbox stands still with us here, so what comes first after the stall is the watch itself."""
    symbols = symbols_of(sandbox)[:6]
    async with listening(sandbox.ws_url, clock, symbols, idle_s=10.0, idle_floor_wall=0.5) as listener:
        await listener.subscribed(6)
        asyncio.get_running_loop().call_soon(_block, 1.5)
        await listener.fresh(symbols)
        assert listener.total("ws_reconnects_total") == 0


def _block(seconds: float) -> None:
    """Keep the loop from running, as a long computation would."""
    time.sleep(seconds)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
