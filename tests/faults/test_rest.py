"""The venue's REST side refuses, lies or stalls: what the limiter lets through, and that nothing is missing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from src.model import MINUTE_MS, floor_minute
from tests.faults.weights import next_minute, until_second, waiting
from tests.support.eventually import eventually
from tests.support.venue import VenueOptions
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_AT_ONCE = 64
"""Requests that may be under way as the first refusal comes."""

_SPEED = 20
_TRIES = 8
_A_MINUTE = 4
"""Requests a minute for one symbol at most: two rounds of the roll call, and the search for holes, ever more seldom."""
_OTHERS, _OURS = 2250, 20
"""Weight that another program takes of the 2400 of a minute, and ours that may have gone before it. All 200 symbols are
asked for in each minute, 50 too many then; those that are under way when the first answer tells of it are not."""


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


@pytest.mark.parametrize("status", [403, 408, 451, 503])
async def test_c3_refused_and_unwell(world: World, status: int) -> None:
    """403 and 451 judge the address, so everybody rests; 408 and 503 are tried again with backoff."""
    await _needs_rest(world)
    began_ms = await world.venue.now_ms()
    await world.venue.control("rest", mode="html", status=status, path="klines")
    await eventually(lambda: _counted(world, str(status)), timeout=60)
    await world.venue.minutes(3)
    if status in (403, 451):
        # Half a minute or a whole one of rest after each burst.
        fired = await world.venue.fired("rest")
        assert fired <= 2 * await _minutes_since(world, began_ms) * _AT_ONCE
    await _heal(world)


@pytest.mark.parametrize("answer", [{"mode": "truncated"}, {"mode": "error", "status": 200, "body": "{}"}])
async def test_c4_answers_that_are_none(world: World, answer: dict[str, Any]) -> None:
    await _needs_rest(world)
    await world.venue.control("rest", path="klines", **answer)
    await eventually(lambda: _fired(world, "rest", 100), timeout=60)
    await _heal(world)


async def test_c5_unknown_symbol(world: World) -> None:
    """-1121 for one symbol, whose closes the stream loses, then for all: asked seldom, and nobody else is late."""
    await _needs_rest(world)
    one = world.venue.symbols[0]
    await world.venue.control("drop_close", symbol=one)
    began_ms, read = await world.venue.now_ms(), await _asked(world, "exchangeInfo")
    await _says(world, -1121, "Invalid symbol.", symbol=one)
    whole_ms = floor_minute(await world.venue.now_ms()) + MINUTE_MS
    await world.venue.minutes(3)
    others = set(world.venue.symbols) - {one}
    await eventually(lambda: _have(world, whole_ms, others), timeout=60, message="the others have theirs")
    await eventually(lambda: _fired(world, "rest", 2), timeout=60, message="it is asked for again")
    of_one = await world.venue.fired("rest")
    assert of_one <= _A_MINUTE * await _minutes_since(world, began_ms)
    before = await world.venue.fired("drop_close")
    await _says(world, -1121, "Invalid symbol.")
    await world.venue.minutes(3)
    lost = await world.venue.fired("drop_close") - before
    await eventually(lambda: _fired(world, "rest", of_one + lost), timeout=60, message="each is asked for")
    of_all = await world.venue.fired("rest") - of_one
    assert of_all <= _A_MINUTE * (await world.venue.fired("drop_close") - before)
    # Each such answer may be news: the list is read again, but it is one reading for all that come within a second.
    readings = await _asked(world, "exchangeInfo") - read
    assert readings <= 15 * await _minutes_since(world, began_ms)
    await _heal(world)


async def test_c5_too_many_said_with_400(world: World) -> None:
    """-1003 to one symbol's requests, without a time and then with one that is months away for this computer."""
    await _needs_rest(world)
    one = world.venue.symbols[0]
    await world.venue.control("drop_close", symbol=one)
    began_ms = await world.venue.now_ms()
    await _says(world, -1003, "Too many requests; current limit is 2400 requests per minute.", symbol=one)
    await world.venue.minutes(4)
    await eventually(lambda: _fired(world, "rest", 2), timeout=60, message="it is asked for again")
    # It stops everybody for a minute, so the next such answer comes a minute later; two may be under way.
    assert await world.venue.fired("rest") <= 2 * await _minutes_since(world, began_ms)
    await world.venue.clear()
    await world.venue.control("drop_close", share=0.5)
    until_ms = await world.venue.now_ms() + 480_000
    before = await world.venue.fired("rest")
    await _says(world, -1003, f"Way too many requests; IP(127.0.0.1) banned until {until_ms}. Please use")
    await eventually(lambda: _fired(world, "rest", before + 1), timeout=60, message="somebody asks")
    await world.venue.minutes((until_ms - await world.venue.now_ms()) / MINUTE_MS / 2)
    assert await world.venue.fired("rest") - before <= _AT_ONCE
    await _heal(world)


async def test_c6_somebody_else_spends_the_weight(tmp_path: Path, database: str) -> None:
    """Another program leaves less of a minute than we need: what the header tells keeps the rest of us waiting."""
    # A minute lasts 6 s: a slow machine, too, spends before the roll call does.
    async with open_world(tmp_path, database, options=VenueOptions(speed=10.0)) as world:
        await world.begin()
        await world.venue.control("drop_close")
        waited = 0
        for _ in range(_TRIES):
            waited += await _others_take_most(world)
            if waited == 2:
                break
            await until_second(world, 0)  # a minute of our own, for those who waited
        assert waited == 2, "nobody had to wait: the fault did not fire"
        await _heal(world)


async def _others_take_most(world: World) -> bool:
    """Whether others took most of the venue's next minute before we began, so that some of ours waited for another one.

    Nobody may be refused in it; where they came too late, somebody rightly was.
    """
    await until_second(world, 1)
    minute, refused = await next_minute(world), await _refusals(world)
    if (await world.venue.stats())["weight_used"] > _OURS:
        return False
    used = await world.venue.control("spend_weight", weight=_OTHERS)
    waited = False
    while await next_minute(world) == minute:
        waited = waited or await waiting(world)
        await asyncio.sleep(0.05)
    if used > _OTHERS + _OURS:
        return False
    assert await _refusals(world) == refused, "more was asked for than was left"
    return waited


async def _refusals(world: World) -> int:
    """How many requests the venue refused because of their weight."""
    requests: dict[str, int] = (await world.venue.stats())["requests"]
    return sum(number for name, number in requests.items() if name.endswith((" 429", " 418")))


async def test_c11_answers_that_drip(world: World) -> None:
    """One byte a second, minutes for the whole: given up long before, and the permit is free again."""
    await _needs_rest(world)
    await world.venue.control("rest", mode="drip", seconds=1.0, path="klines", count=20)
    await eventually(lambda: _fired(world, "rest", 20), timeout=60)
    # Not all: an answer without a row yet has two bytes.
    await eventually(lambda: _given_up(world, 10), timeout=60, message="they are given up")
    await _heal(world)


async def _given_up(world: World, times: int) -> bool:
    """Whether so many requests for candles ended before their answer did."""
    return int((await world.venue.stats())["requests"].get("/fapi/v1/klines 0", 0)) >= times


async def test_c12_redirected_to_another_host(world: World) -> None:
    await _needs_rest(world)
    elsewhere = {"Location": "http://127.0.0.1:9/"}
    await world.venue.control("rest", mode="error", status=302, path="klines", headers=elsewhere)
    await eventually(lambda: _fired(world, "rest", 20), timeout=60)
    await world.daemon.wait_metric("rest_requests_total", 20, code="302")
    await _heal(world)


async def _minutes_since(world: World, began_ms: int) -> int:
    """How many of the venue's minutes passed at most, one that is under way counted in."""
    return (await world.venue.now_ms() - began_ms) // MINUTE_MS + 2


async def _says(world: World, code: int, text: str, **whom: str) -> None:
    """Requests for candles are answered 400 with this code, until cleared."""
    body = json.dumps({"code": code, "msg": text})
    await world.venue.control("rest", status=400, path="klines", body=body, **whom)


async def _have(world: World, from_ms: int, symbols: set[str]) -> bool:
    """Whether these, and only these, have the two minutes from ``from_ms`` on."""
    stored = await world.oracle.stored()
    wanted = {from_ms, from_ms + MINUTE_MS}
    return {key for key in stored if key[1] in wanted} == {(name, at) for name in symbols for at in wanted}


async def _asked(world: World, endpoint: str) -> int:
    """Requests of an endpoint that the venue answered, however."""
    requests: dict[str, int] = (await world.venue.stats())["requests"]
    return sum(number for name, number in requests.items() if name.startswith(f"/fapi/v1/{endpoint} "))


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
    await eventually(lambda: _counted(world, code), timeout=60)
    return until_ms


async def _counted(world: World, code: str) -> bool:
    return (await world.daemon.metrics()).total("rest_requests_total", code=code) > 0


async def _fired(world: World, kind: str, times: int) -> bool:
    return await world.venue.fired(kind) >= times
