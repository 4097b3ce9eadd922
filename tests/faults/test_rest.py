"""The venue's REST side refuses, lies or stalls: what the limiter lets through, and that nothing is missing."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.world import World

pytestmark = pytest.mark.fault

_AT_ONCE = 64
"""Requests that may be under way as the first refusal comes."""

_SPEED = 20
_TRIES = 8


async def _needs_rest(world: World) -> None:
    """Half of all closes are lost on the stream, so every minute asks REST for a hundred symbols."""
    await world.begin()
    await world.venue.control("drop_close", share=0.5)


async def _heal(world: World) -> None:
    await world.venue.clear()
    await world.live_rows(1)
    await world.finish()


@pytest.mark.parametrize("retry_after", [None, "", "99999999999"])
async def test_c1_too_many_requests(world: World, retry_after: str | None) -> None:
    """429 for 50 venue seconds with seconds, without a word, or with an absurd one: everybody stops."""
    await _needs_rest(world)
    await _refuse(world, "too_many", code="429", seconds=50, retry_after=retry_after)
    await world.venue.minutes(2)
    assert await world.venue.fired("too_many") <= _AT_ONCE
    await _heal(world)


async def test_c1_too_many_requests_until_a_date(world: World) -> None:
    """Retry-After as a date of the venue's clock, which is months from this computer's: the pause ends then."""
    await _needs_rest(world)
    until_ms = await _refuse(world, "too_many", code="429", seconds=200, retry_after="date")
    seen = await world.daemon.metrics()
    pause_s = seen.total("rate_limit_ban_until_timestamp_seconds", budget="fapi")
    # What is told in whole seconds, and what one answer takes on a busy machine; a minute is what no date would give.
    assert -2 <= pause_s - until_ms / 1000 <= 20
    await world.venue.minutes(4)
    assert await world.venue.fired("too_many") <= _AT_ONCE
    await _heal(world)


async def test_c2_banned(world: World) -> None:
    """418 until a time in the text: no request before it."""
    await _needs_rest(world)
    await _refuse(world, "ban", code="418", seconds=240)
    await world.venue.minutes(5)
    assert await world.venue.fired("ban") <= _AT_ONCE
    await _heal(world)


@pytest.mark.parametrize("status", [403, 451, 503])
async def test_c3_refused_and_unwell(world: World, status: int) -> None:
    """403 and 451 judge the address, so everybody rests; a 503 is tried again with backoff."""
    await _needs_rest(world)
    await world.venue.control("rest", mode="html", status=status, path="klines")
    await eventually(lambda: _fired(world, "rest", 1), timeout=30)
    await world.venue.minutes(3)
    if status != 503:
        # Half a minute or a whole one of rest after each burst.
        assert await world.venue.fired("rest") <= 8 * _AT_ONCE
    await _heal(world)


@pytest.mark.parametrize("answer", [{"mode": "truncated"}, {"mode": "error", "status": 200, "body": "{}"}])
async def test_c4_answers_that_are_none(world: World, answer: dict[str, Any]) -> None:
    await _needs_rest(world)
    await world.venue.control("rest", path="klines", **answer)
    await eventually(lambda: _fired(world, "rest", 100), timeout=30)
    await _heal(world)


async def test_c6_somebody_else_spends_the_weight(world: World) -> None:
    """Another program takes most of a minute: what the header tells keeps us below the venue's limit."""
    await _needs_rest(world)
    for _ in range(3):
        await world.venue.control("spend_weight", weight=1750)
        await world.venue.minutes(1)
    seen = await world.daemon.metrics()
    assert seen.total("rest_requests_total", code="429") == 0
    await _heal(world)


async def test_c11_answers_that_drip(world: World) -> None:
    """One byte a second: given up as a whole after ten seconds, and the permit is free again."""
    await _needs_rest(world)
    await world.venue.control("rest", mode="drip", seconds=1.0, path="klines", count=20)
    await eventually(lambda: _fired(world, "rest", 20), timeout=60)
    await _heal(world)


async def test_c12_redirected_to_another_host(world: World) -> None:
    await _needs_rest(world)
    elsewhere = {"Location": "http://127.0.0.1:9/"}
    await world.venue.control("rest", mode="error", status=302, path="klines", headers=elsewhere)
    await eventually(lambda: _fired(world, "rest", 20), timeout=30)
    seen = await world.daemon.metrics()
    assert seen.total("rest_requests_total", code="302") >= 20
    await _heal(world)


async def _refuse(world: World, kind: str, *, code: str, **how: Any) -> int:
    """Begin to refuse, and again if nobody asked while it lasted, until the daemon has counted the answer.

    The venue's time at which it ends, milliseconds.
    """
    until_ms = 0
    for _ in range(_TRIES):
        until_ms = int(await world.venue.control(kind, **how))
        with contextlib.suppress(AssertionError):
            await eventually(lambda: _fired(world, kind, 1), timeout=how["seconds"] / _SPEED)
            break
    await eventually(lambda: _counted(world, code), timeout=15)
    return until_ms


async def _counted(world: World, code: str) -> bool:
    return (await world.daemon.metrics()).total("rest_requests_total", code=code) > 0


async def _fired(world: World, kind: str, times: int) -> bool:
    return await world.venue.fired(kind) >= times
