"""One process that spends as much as its limiter lets it. Prints one line of JSON for each refusal.

Arguments: database URL, REST URL, speed, weight a minute, venue seconds to run, name of the address. SIGTERM ends it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import aiohttp

from src.adapters.rate_limiter import Budgets
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.rate_limits import RateLimitBook
from src.clock import VenueClock
from src.errors import RateLimited
from src.ports import Priority
from src.telemetry.metrics import Metrics

AT_ONCE = 8


def tell(**what: float) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def spend(budgets: Budgets, session: aiohttp.ClientSession, url: str) -> None:
    while True:
        try:
            async with (
                budgets.fapi.permit(1, Priority.ROLL_CALL),
                session.get(f"{url}/fapi/v1/ping") as answer,
            ):
                await answer.read()
                if answer.status == 200:
                    continue
                tell(status=answer.status)
                budgets.fapi.pause(float(answer.headers["Retry-After"]))
        except RateLimited as error:
            tell(refused=error.retry_after)
            await asyncio.sleep(0.2)


async def main(database: str, url: str, speed: str, limit: str, seconds: str, egress: str) -> None:
    metrics, clock = Metrics(), VenueClock(speed=float(speed))
    book = RateLimitBook(DatabaseOptions(database), egress, metrics)
    budgets = Budgets(clock, metrics, fapi_limit=int(limit), book=book)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        async with session.get(f"{url}/fapi/v1/time") as answer:
            if "serverTime" in (told := await answer.json()):
                clock.set(told["serverTime"] / 1000)
        made = [tasks.create_task(budgets.run(), name="budgets")]
        made += [tasks.create_task(spend(budgets, session, url), name="spend") for _ in range(AT_ONCE)]
        try:
            async with asyncio.timeout(float(seconds) / clock.speed):
                await stop.wait()
        except TimeoutError:
            pass
        for task in made:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
