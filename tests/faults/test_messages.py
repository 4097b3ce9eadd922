"""B1 to B3, B7 to B9, B16: frames that are wrong, strange, doubled, out of order or too early."""

from __future__ import annotations

import pytest

from src.sandbox.stream.malformed import CORPUS
from tests.support.eventually import eventually
from tests.support.world import World

pytestmark = pytest.mark.fault

_HARMLESS = ("late_ack", "error", "unknown_event", "unknown_envelope", "null_data")
_CHINESE = "币安人生USDT"
_DIGITS = "1000PEPEUSDT"


async def test_b1_malformed_frames(world: World) -> None:
    """Each frame of the corpus to each connection: counted, and neither connection nor other rows suffer."""
    await world.begin()
    connections = await world.live_connections()
    names = sorted(CORPUS.keys() - set(_HARMLESS))
    for _ in range(3):
        await world.live_rows(1)
        assert await world.venue.control("malformed", names=names) == len(names) * connections
    wrong = 3 * connections * len(names)

    async def all_are_counted() -> bool:
        seen = await world.daemon.metrics()
        counted = sum(seen.total("ws_frames_total", kind=kind) for kind in ("malformed", "other"))
        return counted + seen.total("rows_rejected_total") >= wrong

    await eventually(all_are_counted, timeout=60, message=f"{wrong} wrong frames are counted")
    seen = await world.daemon.metrics()
    assert seen.total("ws_frames_total", kind="malformed") > 0
    assert seen.total("rows_rejected_total") > 0
    assert seen.total("ws_reconnects_total") == 0, "a frame cost its connection"
    assert await world.venue.fired("malformed") == wrong
    await world.live_rows(2)
    await world.finish()


async def test_b2_answers_errors_and_unknown_events(world: World) -> None:
    await world.begin()
    connections = await world.live_connections()
    before = await world.daemon.metrics()
    for _ in range(5):
        await world.live_rows(1)
        assert await world.venue.control("malformed", names=list(_HARMLESS)) == len(_HARMLESS) * connections
    strange = 5 * connections * len(_HARMLESS)

    async def all_are_counted() -> bool:
        seen = await world.daemon.metrics()
        kinds = ("control", "other", "malformed")
        return (
            sum(
                seen.total("ws_frames_total", kind=kind) - before.total("ws_frames_total", kind=kind)
                for kind in kinds
            )
            + seen.total("rows_rejected_total")
            >= strange
        )

    await eventually(all_are_counted, timeout=60)
    seen = await world.daemon.metrics()
    assert seen.total("ws_reconnects_total") == 0
    assert await world.venue.fired("malformed") == strange
    await world.live_rows(1)
    await world.finish()


async def test_b3_chinese_and_unknown_symbols(world: World) -> None:
    """The stream loses all closes of a Chinese symbol and of one with digits: REST must name them rightly."""
    assert {_CHINESE, _DIGITS} <= set(world.venue.symbols)
    await world.begin()
    for symbol in (_CHINESE, _DIGITS):
        await world.venue.control("drop_close", symbol=symbol)
    connections = await world.live_connections()
    assert await world.venue.control("malformed", names=["unknown_symbol"]) == connections
    # That frame is also of the year 2010: it is refused for whichever is looked at first.
    await world.daemon.wait_metric("rows_rejected_total", connections)
    filled = (await world.daemon.metrics()).total("roll_call_filled_total")
    await world.daemon.wait_metric("roll_call_filled_total", filled + 6)
    await eventually(lambda: _fired(world, "drop_close", 6), timeout=60)
    await world.venue.clear()
    await world.live_rows(2)
    stored = await world.oracle.stored()
    assert {_CHINESE, _DIGITS} <= {symbol for symbol, _ in stored}
    await world.finish()


async def test_b7_duplicates_in_one_batch(world: World) -> None:
    await world.begin()
    await world.venue.control("duplicate", copies=4)
    symbols = len(world.venue.symbols)
    await world.live_rows(15)
    seen = await world.daemon.metrics()
    assert await world.venue.fired("duplicate") >= 3 * symbols
    assert seen.total("rows_deduped_total") >= 8 * symbols
    assert seen.total("database_errors_total", sqlstate_class="21") == 0
    await world.venue.clear()
    await world.finish()


async def test_b8_out_of_order(world: World) -> None:
    """Closes come up to 130 s late, each by another time: after the roll call has asked REST for them."""
    await world.begin()
    await world.venue.control("shuffle", seconds=130)
    await world.live_rows(8)
    stats = await world.venue.stats()
    assert stats["out_of_order"] > 100
    assert stats["fired"]["shuffle"] > 1000
    await world.venue.clear()
    await world.finish()


async def test_b9_rows_that_are_not_final(world: World) -> None:
    """The stream keeps back its closes and REST has rows before they are final: the final ones must win."""
    await world.begin()
    symbols = len(world.venue.symbols)
    await world.venue.control("early_rows")
    await world.venue.control("drop_close", share=0.5)
    await world.live_rows(4)
    frames = (await world.daemon.metrics()).total("ws_frames_total", kind="open")
    assert frames > symbols, "no frame of an open minute was seen"
    stats = await world.venue.stats()
    assert stats["fired"]["drop_close"] > symbols
    assert stats["fired"]["early_rows"] > 0
    await world.venue.clear()
    await world.finish()


@pytest.mark.parametrize("skew", [5.0, -5.0])
async def test_b16_the_venues_clock_is_off(world: World, skew: float) -> None:
    """Every time the venue states is off by five seconds; our own clock follows it, and no minute is misjudged."""
    await world.begin()
    await world.venue.control("clock_skew", seconds=skew)
    await world.live_rows(2)
    # The clock is set once a minute of wall time, which is longer than this run: a new start asks at once.
    await world.daemon.stop()
    world.daemon.start()
    await world.daemon.wait_ready()
    await world.live_rows(3)
    assert await world.venue.fired("clock_skew") == 1
    await eventually(lambda: _is_off(world, skew), timeout=60, message="our clock follows the venue's")
    world.before = None
    await world.venue.clear()
    await world.finish()


async def _is_off(world: World, skew: float) -> bool:
    # At speed 20 an answer that takes 50 ms is a second old, and the clock is set by such answers.
    return abs(await world.clock_error() - skew) < 2.5


async def _fired(world: World, kind: str, times: int) -> bool:
    return await world.venue.fired(kind) >= times
