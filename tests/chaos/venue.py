"""Faults that the venue makes: what it sends, answers, lists and publishes."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from src.sandbox.stream.frames import WRONG_VALUES
from src.sandbox.stream.malformed import BREAKING, CORPUS

from .ground import Act, Fault, Ground, nothing
from .schedule import Arguments, Draw

_SYMBOLS = 1_000_000
_CODES = (1000, 1001, 1006, 1008, 1009, 1011, 1012, 1013)
_STATUSES = (0, 200, 301, 403, 429, 451, 500, 503)
_REST_ERRORS = (302, 400, 403, 408, 418, 429, 451, 500, 503)
_PATHS = (None, "klines", "exchangeInfo", "time")
_WEIGHT_LIMIT = 2400
_TRANSPORT = ("truncated", "bit_flip", "cut", "stall", "html", "s3_error")
_FORMS = (
    "headerless", "bom", "crlf", "extra_columns", "reordered", "microseconds", "unsorted", "duplicates", "gaps",
    "two_members", "no_member", "wrong_member", "evil_path", "symlink", "bomb", "forged_size", "forged_larger",
    "forged_huge", "forged_bomb", "encrypted", "nested", "nested_content", "lzma", "published_short",
    "published_flip", "checksum", "no_checksum",
)  # fmt: skip
"""All that is wrong inside of a file, but what makes another candle the truth: blank cells and rows without trades."""


def once(command: str) -> Act:
    """A command whose effect is over at once, or ends by itself."""

    async def act(ground: Ground, seconds: float, arguments: Arguments) -> None:
        await ground.control(command, arguments)
        await asyncio.sleep(seconds)

    return act


def lasting(command: str) -> Act:
    """A fault that is in force for the seconds."""

    async def act(ground: Ground, seconds: float, arguments: Arguments) -> None:
        fault = await ground.control(command, arguments)
        try:
            await asyncio.sleep(seconds)
        finally:
            await ground.undo(ground.world.venue.end(int(fault["number"])))

    return act


def undone_by(command: str, **undo: Any) -> Act:
    """A change that another use of the same command takes back."""

    async def act(ground: Ground, seconds: float, arguments: Arguments) -> None:
        await ground.control(command, arguments)
        try:
            await asyncio.sleep(seconds)
        finally:
            await ground.undo(ground.control(command, undo))

    return act


async def _halt(ground: Ground, seconds: float, arguments: Arguments) -> None:
    await ground.control("halt", arguments)
    try:
        await asyncio.sleep(seconds)
    finally:
        await ground.undo(ground.control("resume", arguments))


async def _restart(ground: Ground, seconds: float, _: Arguments) -> None:
    """kill -9 of the venue; its clock went on when it is back, its faults are forgotten."""
    await ground.note_fired()
    await ground.world.venue.kill()
    ground.fired["venue_restart"] += 1
    await asyncio.sleep(seconds)
    await ground.bring_back_venue()


def _share(**more: Any) -> Draw:
    return lambda dice: (
        {"share": round(dice.uniform(0.05, 1.0), 2)}
        | {name: dice.choice(value) if isinstance(value, tuple) else value for name, value in more.items()}
    )


def _rest(dice: Random) -> Arguments:
    mode = dice.choice(("error", "html", "empty", "truncated", "delay", "drip", "hang", "reset"))
    drawn: Arguments = {"mode": mode, "path": dice.choice(_PATHS), "share": round(dice.uniform(0.1, 1.0), 2)}
    if mode in {"error", "html"}:
        drawn["status"] = dice.choice(_REST_ERRORS)
    if mode in {"delay", "drip"}:
        drawn["seconds"] = round(dice.uniform(0.05, 3.0), 2)
    return drawn


def _one_connection(dice: Random, **more: Any) -> Arguments:
    """Of all connections, or of the one at that place of those that are open then."""
    return {"connection": dice.choice((None, None, *range(8))), **more}


def _refused(dice: Random) -> Arguments:
    drawn: Arguments = {"seconds": dice.randint(5, 120)}
    told = dice.choice((None, "", "date", "99999999999"))
    return drawn if told is None else {**drawn, "retry_after": told}


FRAMES = (
    Fault("silence", _one_connection, lasting("silence")),
    Fault("mute", lambda dice: {"symbol": dice.randrange(_SYMBOLS)}, lasting("mute")),
    Fault(
        "mute_until",
        lambda dice: {"symbol": dice.randrange(_SYMBOLS), "until": "resubscribe"},
        once("mute"),
    ),
    Fault("drop_close", _share(), lasting("drop_close")),
    Fault("late_close", _share(seconds=(3.0, 20.0, 70.0, 130.0)), lasting("late_close")),
    Fault("shuffle", lambda dice: {"seconds": dice.choice((30.0, 130.0))}, lasting("shuffle")),
    Fault("duplicate", _share(copies=(1, 4)), lasting("duplicate")),
    Fault("wrong_unit", _share(unit=("us", "s")), lasting("wrong_time")),
    Fault("wrong_time", _share(shift_s=(86_400.0, -86_400.0, 0.001)), lasting("wrong_time")),
    Fault("wrong_values", _share(mode=tuple(sorted(WRONG_VALUES))), lasting("wrong_values")),
    Fault("burst", lambda dice: {"times": dice.randint(1, 5)}, once("burst")),
    Fault("malformed", lambda dice: {"names": dice.sample(sorted(CORPUS), 5)}, once("malformed")),
)
CONNECTIONS = (
    Fault("close", lambda dice: _one_connection(dice, code=dice.choice(_CODES)), once("close")),
    Fault("reset", _one_connection, once("reset")),
    Fault(
        "shutdown_event",
        lambda dice: _one_connection(dice, then_close=dice.random() < 0.5),
        once("shutdown_event"),
    ),
    Fault("stop_reading", _one_connection, once("stop_reading")),
    Fault("handshake", lambda dice: {"status": dice.choice(_STATUSES)}, lasting("handshake")),
    Fault("max_age", lambda dice: {"seconds": dice.choice((20, 60, 200))}, lasting("max_age")),
    Fault("breaking", lambda dice: {"names": [dice.choice(sorted(BREAKING))]}, once("malformed")),
)
REST = (
    Fault("rest", _rest, lasting("rest")),
    Fault("early_rows", nothing, lasting("early_rows")),
    Fault(
        "clock_skew",
        lambda dice: {"seconds": dice.choice((-5.0, -1.0, 2.0, 5.0))},
        undone_by("clock_skew", seconds=0),
    ),
)
LIMITS = (
    Fault("ban", lambda dice: {"seconds": dice.randint(5, 120)}, once("ban")),
    Fault("too_many", _refused, once("too_many")),
    Fault("spend_weight", lambda dice: {"weight": dice.choice((500, 1750, 2400))}, once("spend_weight")),
    Fault(
        "weight_limit",
        lambda dice: {"limit": dice.choice((600, 1200)), "in_seconds": dice.choice((0, 60))},
        undone_by("weight_limit", limit=_WEIGHT_LIMIT),
    ),
)
LISTINGS = (
    Fault(
        "list_symbol",
        lambda dice: {"symbol": f"N{dice.randrange(_SYMBOLS)}USDT", "in_seconds": dice.choice((-300, 0, 60))},
        once("list_symbol"),
    ),
    Fault(
        "delist",
        lambda dice: {"symbol": 2 * dice.randrange(_SYMBOLS)},
        once("delist"),
    ),
    Fault("halt", lambda dice: {"symbol": 2 * dice.randrange(_SYMBOLS) + 1}, _halt),
)
"""Who is halted is resumed, and who is delisted is gone for good: they are never the same. Nobody is taken off the list
while the daemon may be away: what REST does not know any more only the archive has, which ``--ws`` does not read."""
RESTARTS = (Fault("venue_restart", nothing, _restart),)
"""A sandbox that was started again knows nothing of what was listed meanwhile: never beside ``LISTINGS``."""
ARCHIVE = (
    Fault("archive_way", lambda dice: {"mode": dice.choice(_TRANSPORT), "count": 3}, lasting("archive")),
    Fault(
        "archive_listing",
        lambda dice: {
            "mode": dice.choice(("missing", "html", "s3_error")),
            "path": "archive-list",
            "count": 3,
        },
        lasting("archive"),
    ),
    Fault("archive_form", lambda dice: {"mode": dice.choice(_FORMS)}, lasting("archive")),
)
