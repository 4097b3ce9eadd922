"""Work and alerts of a whole daemon: asked for over HTTP and gRPC, delivered to a target, and kill -9 in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest

from src.api.protos import task_pb2, task_pb2_grpc
from src.sandbox import Sandbox, SandboxOptions
from tests.faults.database import ask
from tests.support.daemon import START_S, Daemon
from tests.support.eventually import eventually
from tests.support.receiver import Receiver, receiving, signed
from tests.support.roles import separate_roles
from tests.support.venue import history_settings

SPEED = 20
SECRET = "0123456789abcdef0123"
_SOON_S = 120.0
SYMBOL = "BTCUSDT"
_CLOSE = "SELECT close FROM market_data.candles_1m WHERE symbol = %s ORDER BY bucket_ts DESC LIMIT 1"
_WATERMARK = "SELECT (extract(epoch FROM max(watermark)) * 1000)::bigint FROM market_data.alerts"
_DUE = "UPDATE market_data.alert_events SET due_at = now() WHERE delivery = 'waiting' RETURNING 1"
_EVENTS = """
SELECT event_id, symbol, event.direction, event.price, event.close, event.delivery,
       (extract(epoch FROM event.bucket_ts) * 1000)::bigint
FROM market_data.alert_events AS event JOIN market_data.alerts USING (alert_id)
ORDER BY event.bucket_ts, event_id
"""


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@asynccontextmanager
async def running(database: str, folder: Path, *arguments: str, **settings: str) -> AsyncIterator[Daemon]:
    """A daemon that is ready, on a venue of its own."""
    async with AsyncExitStack() as stack:
        options = SandboxOptions(symbols=4, speed=SPEED, sleeper_share=0.0)
        sandbox = await stack.enter_async_context(Sandbox(options))
        settings |= {
            **separate_roles(database),
            "BINANCE_REST_URL": sandbox.rest_url,
            "BINANCE_WS_URL": sandbox.ws_url,
            **history_settings(sandbox.rest_url),
        }
        found = Daemon(
            settings, folder=folder, arguments=("--ws", "--api", "--speed", str(SPEED), *arguments)
        )
        found.start()
        stack.push_async_callback(found.kill)
        await found.wait_ready()
        yield found


async def port_of(daemon: Daemon, event: str) -> int:
    """The port that the daemon which runs now says it listens at."""

    def told() -> list[dict[str, Any]]:
        lines = [line for line in daemon.child.text().splitlines() if f'"{event}"' in line]
        return [json.loads(line) for line in lines]

    found = await eventually(told, timeout=START_S, message=event)
    return int(found[-1]["port"])


async def test_a_task_is_asked_for_twice_and_done_once(database: str, tmp_path: Path) -> None:
    async with running(database, tmp_path, "--jobs") as daemon:
        url = f"http://127.0.0.1:{await port_of(daemon, 'api_listening')}"
        target = f"127.0.0.1:{await port_of(daemon, 'grpc_listening')}"
        request = task_pb2.RunTaskRequest(task_id="mine", task_type="Bars")
        async with grpc.aio.insecure_channel(target) as channel, aiohttp.ClientSession(url) as session:
            tasks = task_pb2_grpc.TaskServiceStub(channel)
            answers = await asyncio.gather(
                *(tasks.RunTask(request, timeout=60) for _ in range(3)),
                *(session.post("/api/v1/tasks", json={"kind": "Bars", "task_id": "mine"}) for _ in range(3)),
            )
            assert [answer.task_id for answer in answers[:3]] == ["mine"] * 3
            assert sorted(answer.status for answer in answers[3:])[:2] == [200, 200]

            async def is_done() -> bool:
                answer = await tasks.GetTask(task_pb2.GetTaskRequest(task_id="mine"), timeout=60)
                return bool(answer.status == task_pb2.TASK_STATUS_SUCCESS)

            await eventually(is_done, timeout=_SOON_S)
            watched = tasks.WatchTask(task_pb2.WatchTaskRequest(task_id="mine"), timeout=60)
            lines = [line.line async for line in watched]
            async with session.get("/api/v1/tasks/mine/logs") as answer:
                assert [line["line"] for line in (await answer.json())["data"]] == lines
            async with session.get("/api/v1/tasks/mine") as answer:
                assert (await answer.json())["attempts"] == 1
        assert await ask(database, "SELECT count(*) FROM market_data.tasks WHERE task_id = 'mine'") == [(1,)]
        await daemon.stop()


async def test_alerts_fire_once_whatever_is_killed_and_each_is_delivered(
    database: str, tmp_path: Path, receiver: Receiver
) -> None:
    targets = {"ALERT_TARGETS": f"desk={receiver.url}", "ALERT_SECRET": SECRET}
    async with running(database, tmp_path, **targets) as daemon:
        receiver.statuses = [503]
        url = f"http://127.0.0.1:{await port_of(daemon, 'api_listening')}"
        close = await eventually(lambda: _newest_close(database), timeout=_SOON_S)
        async with aiohttp.ClientSession(url) as session:
            # So many that every minute crosses some, wherever the price goes. Each lies between two ticks, so that no
            # close is the price itself and the two directions fire in turn.
            for step in range(-20, 21):
                for direction in ("long", "short"):
                    price = close * (1 + step * 0.002 + 1e-9)
                    wish = {"symbol": SYMBOL, "price": price, "direction": direction, "target": "desk"}
                    async with session.post("/api/v1/alerts", json=wish) as answer:
                        assert answer.status == 201, await answer.text()
        [(all_since,)] = await ask(database, _WATERMARK)
        await eventually(lambda: _fired(database, at_least=4), timeout=_SOON_S)
        await daemon.kill()
        before = len(await ask(database, _EVENTS))
        # What the dead was delivering comes again after a minute: that minute passes here.
        await ask(database, _DUE)
        daemon.start()
        await daemon.wait_ready()
        await eventually(lambda: _fired(database, at_least=before + 4), timeout=_SOON_S)
        numbers = {event[0] for event in await ask(database, _EVENTS)}
        await eventually(lambda: _delivered(database, numbers), timeout=_SOON_S)
        await daemon.stop()

        events = await ask(database, _EVENTS)
        for crossed in {event[3] for event in events}:
            turns = [
                event[2]
                for event in events
                if event[3] == crossed and int(str(event[6])) >= int(str(all_since))
            ]
            assert all(one != other for one, other in pairwise(turns)), turns
        for event in events:
            assert (float(str(event[4])) < float(str(event[3]))) == (event[2] == "long")
        stored = (
            "SELECT symbol, close, (extract(epoch FROM bucket_ts) * 1000)::bigint FROM market_data.candles_1m"
        )
        assert {(event[1], event[4], event[6]) for event in events} <= set(await ask(database, stored))

        delivered = {event[0] for event in events if event[5] == "delivered"}
        assert {int(headers["X-Marketd-Event"]) for headers, _ in receiver.seen} >= delivered
        for headers, body in receiver.seen:
            assert headers["X-Marketd-Signature"] == signed(SECRET, headers, body)


async def _newest_close(database: str) -> float:
    """0 while there is none."""
    for (close,) in await ask(database, _CLOSE, SYMBOL):
        return float(str(close))
    return 0.0


async def _fired(database: str, *, at_least: int) -> bool:
    return len(await ask(database, _EVENTS)) >= at_least


async def _delivered(database: str, numbers: set[object]) -> bool:
    """Whether these are; while candles close there are always new ones."""
    return numbers <= {event[0] for event in await ask(database, _EVENTS) if event[5] == "delivered"}
