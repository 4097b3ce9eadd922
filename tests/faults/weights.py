"""What the venue counted of our requests, by its own minutes, and what the daemon says of its budget."""

from __future__ import annotations

from tests.support.world import World


async def until_second(world: World, second: float) -> None:
    """Wait for this second of the venue's next minute."""
    at_ms = await next_minute(world) * 60_000 + second * 1000
    await world.venue.minutes((at_ms - await world.venue.now_ms()) / 60_000)


async def next_minute(world: World) -> int:
    """The number of the venue's next minute."""
    return await world.venue.now_ms() // 60_000 + 1


async def by_minute(world: World) -> dict[int, int]:
    """The weight of each minute in which anything came."""
    told = (await world.venue.stats())["weight_by_minute"]
    return {int(minute): int(weight) for minute, weight in told.items()}


async def weights(world: World, first: int) -> list[int]:
    """The weight of each whole minute from ``first`` on."""
    counted = await by_minute(world)
    return [counted.get(minute, 0) for minute in range(first, await next_minute(world) - 1)]


async def nobody_was_refused(world: World) -> None:
    requests = (await world.venue.stats())["requests"]
    assert [name for name in requests if name.endswith((" 429", " 418"))] == []


async def waiting(world: World) -> bool:
    """Whether anybody in the daemon waits for weight."""
    return (await world.daemon.metrics()).total("rate_limit_waiting_requests", budget="fapi") > 0
