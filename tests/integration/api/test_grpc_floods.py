"""Floods of gRPC: what is too much is refused at once, and what comes after it is served."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2

from src.api.limits import Limits
from src.api.protos import task_pb2, task_pb2_grpc
from tests.support.desk import Shelf
from tests.support.eventually import eventually
from tests.support.grpc_api import grpc_served, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


async def test_while_memory_is_short_nobody_is_let_in(shelf: Shelf) -> None:
    limits = Limits(memory_short=True)
    request = task_pb2.GetTaskRequest(task_id="none")
    async with grpc_served(shelf, limits=limits) as client:
        code, text = await refused(client.tasks.GetTask(request, timeout=30))
        assert (code, "memory is short" in text) == (grpc.StatusCode.UNAVAILABLE, True)
        found = await client.health.Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert found.status == health_pb2.HealthCheckResponse.SERVING
        limits.become_short_of_memory(False)
        code, _ = await refused(client.tasks.GetTask(request, timeout=30))
        assert code is grpc.StatusCode.NOT_FOUND


async def test_a_flood_is_refused_and_passes(shelf: Shelf) -> None:
    # H7: of calls from many connections so many are worked at, the others are told so at once.
    held = asyncio.Event()
    found = shelf.show

    async def slow(task_id: str) -> Any:
        await held.wait()
        return await found(task_id)

    shelf.show = slow  # type: ignore[method-assign]
    request = task_pb2.GetTaskRequest(task_id="none")
    async with grpc_served(shelf) as client:
        target = f"127.0.0.1:{client.port}"
        own = [("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.aio.insecure_channel(target, options=own) for _ in range(5)]
        calls = [
            asyncio.ensure_future(task_pb2_grpc.TaskServiceStub(channel).GetTask(request, timeout=60))
            for channel in channels
            for _ in range(40)
        ]
        try:
            await eventually(lambda: sum(call.done() for call in calls) >= 200 - 64, timeout=30)
            held.set()
            codes = [code for code, _ in [await refused(call) for call in calls]]
        finally:
            for channel in channels:
                await channel.close()
        assert codes.count(grpc.StatusCode.NOT_FOUND) == 64
        assert (
            codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) + codes.count(grpc.StatusCode.UNAVAILABLE) == 136
        )
        code, _ = await refused(client.tasks.GetTask(request, timeout=30))
        assert code is grpc.StatusCode.NOT_FOUND


async def test_a_flood_of_pings_ends_the_connection(shelf: Shelf) -> None:
    # H8: frames that cost the sender nothing. The preface and settings of HTTP/2, then pings until it is cut.
    async with grpc_served(shelf) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        try:
            writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
            ping = b"\0\0\x08\6\0\0\0\0\0" + b"pingping"
            with suppress(ConnectionError):
                writer.write(ping * 10_000)
                await writer.drain()
            async with asyncio.timeout(60):
                await _until_cut(reader)
        finally:
            writer.close()
        answer = await client.health.Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_calls_that_are_reset_at_once_take_no_more_room_than_others(shelf: Shelf) -> None:
    # H8: rapid reset. Each is over for whoever sends it, and would not count against what it may have open.
    at_once = most = 0
    found = shelf.show

    async def counted(task_id: str) -> Any:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            await asyncio.sleep(0.5)
            return await found(task_id)
        finally:
            at_once -= 1

    shelf.show = counted  # type: ignore[method-assign]
    async with grpc_served(shelf) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        hearing = asyncio.create_task(_until_cut(reader), name="hearing")
        try:
            with suppress(ConnectionError):
                writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0) + _called(1))
                await eventually(lambda: most, timeout=60, message="what is sent is a call")
                for number in range(1, 3_000):
                    writer.write(_called(2 * number + 1) + _reset(2 * number + 1))
                    if not number % 100:
                        await writer.drain()
                await writer.drain()
            answer = await client.health.Check(health_pb2.HealthCheckRequest(), timeout=30)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            await eventually(lambda: at_once == 0, timeout=30)
        finally:
            writer.close()
            hearing.cancel()
            await asyncio.wait({hearing})
        assert most <= 64
        shelf.show = found  # type: ignore[method-assign]
        code, _ = await refused(client.tasks.GetTask(task_pb2.GetTaskRequest(task_id="none"), timeout=30))
        assert code is grpc.StatusCode.NOT_FOUND


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2: 24 bits of length, kind, flags, stream."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _reset(stream: int) -> bytes:
    """RST_STREAM (CANCEL)."""
    return _frame(3, 0, stream, b"\0\0\0\x08")


def _called(stream: int) -> bytes:
    """GetTask with a whole request."""

    def text(value: bytes) -> bytes:
        return bytes([len(value)]) + value

    # POST and http of the static table; the others literal, with a name of the table (:path, :authority) or a new one.
    head = b"\x83\x86\x04" + text(b"/marketd.v1.TaskService/GetTask") + b"\x01" + text(b"localhost")
    head += (
        b"\x00"
        + text(b"content-type")
        + text(b"application/grpc")
        + b"\x00"
        + text(b"te")
        + text(b"trailers")
    )
    message = task_pb2.GetTaskRequest(task_id="none").SerializeToString()
    body = b"\0" + len(message).to_bytes(4, "big") + message
    return _frame(1, 4, stream, head) + _frame(0, 1, stream, body)


async def _until_cut(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while await reader.read(65_536):
            pass


async def test_so_many_logs_are_followed_at_a_time(shelf: Shelf) -> None:
    # H7: what goes on long leaves places for the other calls.
    asked = task_pb2.WatchTaskRequest(task_id="t")
    async with grpc_served(shelf) as client:
        await client.tasks.RunTask(
            task_pb2.RunTaskRequest(task_id="t", task_type="Paint", config_json='{"wall": "a"}'), timeout=30
        )
        shelf.tell("t", "one")
        following = [client.tasks.WatchTask(asked, timeout=300) for _ in range(32)]
        assert {(await one.read()).line for one in following} == {"one"}

        async def code_of_one_more() -> grpc.StatusCode:
            more = client.tasks.WatchTask(asked, timeout=30)
            try:
                await more.read()
            except grpc.aio.AioRpcError as error:
                return error.code()
            more.cancel()
            return grpc.StatusCode.OK

        assert await code_of_one_more() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await client.tasks.GetTask(task_pb2.GetTaskRequest(task_id="t"), timeout=30)
        following.pop().cancel()

        async def let_in() -> bool:
            return await code_of_one_more() is grpc.StatusCode.OK

        await eventually(let_in, timeout=60)
        for one in following:
            one.cancel()
