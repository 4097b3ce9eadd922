"""``TaskService`` over a real socket: every method, and what is refused before one is reached."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from src.api.grpc.guarding import SERVICE
from src.api.grpc.service import ServiceOptions
from src.api.limits import Limits
from src.api.protos import task_pb2
from src.api.security import Tokens
from src.errors import Unavailable
from src.model import TaskState
from tests.support.desk import Shelf
from tests.support.eventually import eventually
from tests.support.grpc_api import Client, grpc_served, refused

# One loop for all of them: the library tells the loops of a process in turn what became of calls, and a loop that was
# closed meanwhile is an error in the log of the next one.
pytestmark = pytest.mark.asyncio(loop_scope="module")

RUNNING = task_pb2.TASK_STATUS_RUNNING
POOL = "0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640"


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest_asyncio.fixture(loop_scope="module")
async def client(shelf: Shelf) -> AsyncIterator[Client]:
    async with grpc_served(shelf) as client:
        yield client


ASKED: list[tuple[str, Any, str, dict[str, Any]]] = [
    (
        "CollectBinance",
        task_pb2.CollectBinanceRequest(import_percentage=12.5, chunk_size=5000, symbol="ETHUSDT"),
        "CollectBinance",
        {"symbol": "ETHUSDT", "market": "spot", "import_percentage": 12.5, "chunk_size": 5000},
    ),
    (
        "CollectUniswap",
        task_pb2.CollectUniswapRequest(pool_address=POOL, start_ts=1_793_491_200, end_ts=1_793_494_800),
        "CollectUniswap",
        {
            "pool_address": POOL,
            "start_ts": "2026-11-01T00:00:00+00:00",
            "end_ts": "2026-11-01T01:00:00+00:00",
        },
    ),
    (
        "ProcessPrices",
        task_pb2.ProcessPricesRequest(
            start_date="2026-11-01", end_date="2026-11-02", aggregation_interval="hour", overwrite=True
        ),
        "ProcessPrices",
        {
            "start_date": "2026-11-01",
            "end_date": "2026-11-02",
            "aggregation_interval": "hour",
            "overwrite": True,
        },
    ),
    (
        "Analyse",
        task_pb2.AnalyseRequest(batch_id=7, overwrite=True, strategy_json='{"mode": "execution"}'),
        "Analyse",
        {"batch_id": 7, "overwrite": True, "strategy": {"mode": "execution"}},
    ),
    (
        "RunTask",
        task_pb2.RunTaskRequest(task_type="Paint", config_json='{"wall": "north"}'),
        "Paint",
        {"wall": "north"},
    ),
]


@pytest.mark.parametrize(("method", "request_", "kind", "parameters"), ASKED, ids=[one[0] for one in ASKED])
async def test_a_task_is_asked_for_once(
    client: Client, shelf: Shelf, method: str, request_: Any, kind: str, parameters: dict[str, Any]
) -> None:
    call = getattr(client.tasks, method)
    request = type(request_)()
    request.CopyFrom(request_)
    request.task_id = "mine"
    answers = await asyncio.gather(*(call(request, timeout=30) for _ in range(6)))
    assert {(answer.task_id, answer.status) for answer in answers} == {("mine", RUNNING)}
    assert (shelf.tasks["mine"].kind, dict(shelf.tasks["mine"].parameters)) == (kind, parameters)
    request.task_id = ""
    answer = await call(request, timeout=30)
    assert answer.task_id in shelf.tasks
    assert len(shelf.tasks) == 2


async def test_a_task_is_looked_at_and_cancelled(client: Client, shelf: Shelf) -> None:
    for number, state in enumerate((TaskState.SUCCESS, TaskState.FAILED), 1):
        request = task_pb2.RunTaskRequest(
            task_id=f"t{number}", task_type="Paint", config_json='{"wall": "a"}'
        )
        await client.tasks.RunTask(request, timeout=30)
        shelf.end(f"t{number}", state)
        answer = await client.tasks.GetTask(task_pb2.GetTaskRequest(task_id=f"t{number}"), timeout=30)
        assert answer.status == number
    await client.tasks.RunTask(
        task_pb2.RunTaskRequest(task_id="t3", task_type="Paint", config_json='{"wall": "a"}'), timeout=30
    )
    for _ in range(2):
        answer = await client.tasks.CancelTask(task_pb2.CancelTaskRequest(task_id="t3"), timeout=30)
        assert answer.status == task_pb2.TASK_STATUS_CANCELLED
    for asked in (
        client.tasks.GetTask(task_pb2.GetTaskRequest(task_id="none"), timeout=30),
        client.tasks.CancelTask(task_pb2.CancelTaskRequest(task_id="none"), timeout=30),
    ):
        assert (await refused(asked))[0] is grpc.StatusCode.NOT_FOUND


async def test_a_log_is_followed_to_its_end(client: Client, shelf: Shelf) -> None:
    await client.tasks.RunTask(
        task_pb2.RunTaskRequest(task_id="t", task_type="Paint", config_json='{"wall": "a"}'), timeout=30
    )
    for line in ("one", "two"):
        shelf.tell("t", line)
    first = shelf.log["t"][0].number
    seen: list[str] = []

    async def follow() -> None:
        async for line in client.tasks.WatchTask(
            task_pb2.WatchTaskRequest(task_id="t", after_number=first), timeout=30
        ):
            seen.append(line.line)  # noqa: PERF401 - it is looked at before the last has come

    following = asyncio.create_task(follow(), name="follow")
    await eventually(lambda: seen == ["two"])
    shelf.tell("t", "three")
    await eventually(lambda: seen == ["two", "three"])
    shelf.tell("t", "four")
    shelf.end("t", TaskState.SUCCESS)
    await following
    assert seen == ["two", "three", "four"]


WRONG: list[tuple[str, Any, str]] = [
    ("RunTask", task_pb2.RunTaskRequest(task_type="Dance"), "kind"),
    ("RunTask", task_pb2.RunTaskRequest(task_type="Paint", config_json="{"), "config_json"),
    ("RunTask", task_pb2.RunTaskRequest(task_type="Paint", config_json="[1]"), "config_json"),
    (
        "RunTask",
        task_pb2.RunTaskRequest(task_type="Paint", config_json='{"wall": "a", "wall": "b"}'),
        "config_json",
    ),
    ("RunTask", task_pb2.RunTaskRequest(task_type="Paint", config_json='{"colour": "green"}'), "colour"),
    (
        "RunTask",
        task_pb2.RunTaskRequest(task_id="../x", task_type="Paint", config_json='{"wall": "a"}'),
        "task_id",
    ),
    (
        "RunTask",
        task_pb2.RunTaskRequest(
            task_id="Bars@2026-11-27T00:00:00Z", task_type="Paint", config_json='{"wall": "a"}'
        ),
        "task_id",
    ),
    ("CollectBinance", task_pb2.CollectBinanceRequest(), "symbol"),
    (
        "CollectBinance",
        task_pb2.CollectBinanceRequest(symbol="A", import_percentage=101),
        "import_percentage",
    ),
    ("CollectUniswap", task_pb2.CollectUniswapRequest(pool_address="pool", end_ts=1), "pool_address"),
    ("CollectUniswap", task_pb2.CollectUniswapRequest(pool_address=POOL, end_ts=10**15), "end_ts"),
    ("CollectUniswap", task_pb2.CollectUniswapRequest(pool_address=POOL, start_ts=2, end_ts=1), "start_ts"),
    ("ProcessPrices", task_pb2.ProcessPricesRequest(start_date="yesterday"), "start_date"),
    ("ProcessPrices", task_pb2.ProcessPricesRequest(overwrite=True), "overwrite"),
    ("Analyse", task_pb2.AnalyseRequest(strategy_json='{"mode": "bet"}'), "strategy.mode"),
    ("Analyse", task_pb2.AnalyseRequest(batch_id=-1), "batch_id"),
    ("GetTask", task_pb2.GetTaskRequest(), "task_id"),
]


@pytest.mark.parametrize(("method", "request_", "field"), WRONG)
async def test_what_is_wrong_is_named(
    client: Client, shelf: Shelf, method: str, request_: Any, field: str
) -> None:
    code, text = await refused(getattr(client.tasks, method)(request_, timeout=30))
    assert (code, field in text) == (grpc.StatusCode.INVALID_ARGUMENT, True), text
    assert shelf.tasks == {}


async def test_another_task_keeps_its_id(client: Client) -> None:
    for wall, code in (("a", None), ("b", grpc.StatusCode.ALREADY_EXISTS)):
        request = task_pb2.RunTaskRequest(
            task_id="t", task_type="Paint", config_json=json.dumps({"wall": wall})
        )
        if code is None:
            await client.tasks.RunTask(request, timeout=30)
        else:
            assert (await refused(client.tasks.RunTask(request, timeout=30)))[0] is code


def overriding(**settings: str) -> task_pb2.ProcessPricesRequest:
    return task_pb2.ProcessPricesRequest(
        start_date="2026-11-01", end_date="2026-11-02", db_overrides=settings
    )


async def test_settings_of_a_tasks_session_are_taken_where_that_is_allowed(shelf: Shelf) -> None:
    given = {"work_mem": "64MB", "statement_timeout": "10min", "max_parallel_workers_per_gather": "0"}
    async with grpc_served(shelf) as client:
        code, text = await refused(client.tasks.ProcessPrices(overriding(**given), timeout=30))
        assert (code, "GRPC_DB_OVERRIDES" in text) == (grpc.StatusCode.PERMISSION_DENIED, True)
        run = task_pb2.RunTaskRequest(
            task_type="ProcessPrices", config_json=json.dumps({"db_overrides": given})
        )
        code, text = await refused(client.tasks.RunTask(run, timeout=30))
        assert (code, "db_overrides" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True), "no way around it"
        assert shelf.tasks == {}
    async with grpc_served(shelf, ServiceOptions(takes_overrides=True)) as client:
        answer = await client.tasks.ProcessPrices(overriding(**given), timeout=30)
        assert shelf.tasks[answer.task_id].parameters["db_overrides"] == given


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "10.0.0.1"},
        {"user": "postgres"},
        {"password": "x"},
        {"dbname": "other"},
        {"search_path": "pg_temp"},
        {"role": "postgres"},
        {"synchronous_commit": "off"},
        {"default_transaction_read_only": "off"},
        {"work_mem": "2GB"},
        {"work_mem": "63kB"},
        {"work_mem": "-1"},
        {"work_mem": "64MB; DROP TABLE tasks"},
        {"statement_timeout": "0"},
        {"statement_timeout": "61min"},
        {"statement_timeout": "1s\n"},
        {"lock_timeout": "٣s"},
        {"max_parallel_workers_per_gather": "9"},
        {"": ""},
    ],
)
async def test_nobody_chooses_the_database_from_outside(shelf: Shelf, settings: dict[str, str]) -> None:
    async with grpc_served(shelf, ServiceOptions(takes_overrides=True)) as client:
        code, text = await refused(client.tasks.ProcessPrices(overriding(**settings), timeout=30))
    assert (code, "db_overrides" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True), text
    assert shelf.tasks == {}


async def test_the_symbol_that_is_kept_need_not_be_named(shelf: Shelf) -> None:
    async with grpc_served(shelf, ServiceOptions(kept=("futures", "BTCUSDT"))) as client:
        answer = await client.tasks.CollectBinance(task_pb2.CollectBinanceRequest(), timeout=30)
    assert shelf.tasks[answer.task_id].parameters == {"symbol": "BTCUSDT", "market": "futures"}


async def test_health_and_reflection_say_what_is_grpc_served(client: Client) -> None:
    for name in ("", SERVICE):
        answer = await client.health.Check(health_pb2.HealthCheckRequest(service=name), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    async for answer in client.health.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=30):
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        break
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    async for answer in client.reflection.ServerReflectionInfo(asked, timeout=30):
        assert SERVICE in [one.name for one in answer.list_services_response.service]


async def test_without_reflection_nobody_is_told_what_there_is(shelf: Shelf) -> None:
    async with grpc_served(shelf, reflects=False) as client:
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in client.reflection.ServerReflectionInfo(asked, timeout=30):
                pass
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        await client.health.Check(health_pb2.HealthCheckRequest(), timeout=30)


async def test_a_token_is_asked_for_where_there_are_some(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"r read {'r' * 64}\nt task {'t' * 64}\n")
    tokens = Tokens(str(file))
    tokens.load()
    run = task_pb2.RunTaskRequest(task_id="t", task_type="Paint", config_json='{"wall": "a"}')
    get = task_pb2.GetTaskRequest(task_id="t")
    async with grpc_served(shelf, tokens=tokens) as client:

        def given(letter: str) -> dict[str, Any]:
            return {"timeout": 30, "metadata": (("authorization", f"Bearer {letter * 64}"),)}

        assert (await refused(client.tasks.RunTask(run, timeout=30)))[0] is grpc.StatusCode.UNAUTHENTICATED
        assert (await refused(client.tasks.RunTask(run, **given("w"))))[0] is grpc.StatusCode.UNAUTHENTICATED
        assert (await refused(client.tasks.RunTask(run, **given("r"))))[
            0
        ] is grpc.StatusCode.PERMISSION_DENIED
        assert shelf.tasks == {}
        await client.tasks.RunTask(run, **given("t"))
        assert shelf.tasks["t"].requested_by == "t"
        assert (await client.tasks.GetTask(get, **given("r"))).status == RUNNING
        watching = client.tasks.WatchTask(task_pb2.WatchTaskRequest(task_id="t"), **given("r"))
        shelf.tell("t", "one")
        assert (await watching.read()).line == "one"
        file.write_text(f"t task {'t' * 64}\n")
        tokens.load()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watching.read()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        await client.health.Check(health_pb2.HealthCheckRequest(), timeout=30)
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in client.reflection.ServerReflectionInfo(asked, timeout=30):
                pass
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_what_is_too_big_or_takes_too_long_is_refused(shelf: Shelf) -> None:
    # H7, and a caller without a deadline of its own.
    async with grpc_served(shelf, limits=Limits(handler_s=0.05)) as client:
        request = task_pb2.RunTaskRequest(task_type="Paint", config_json=" " * 70_000)
        assert (await refused(client.tasks.RunTask(request, timeout=30)))[
            0
        ] is grpc.StatusCode.RESOURCE_EXHAUSTED
        held = asyncio.Event()

        async def stuck(task_id: str) -> None:
            await held.wait()

        shelf.show = stuck  # type: ignore[method-assign]
        code, _ = await refused(client.tasks.GetTask(task_pb2.GetTaskRequest(task_id="t")))
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_nothing_of_ours_is_told(shelf: Shelf) -> None:
    # H17
    for error, code in (
        (ZeroDivisionError("the secret of the house"), grpc.StatusCode.INTERNAL),
        (Unavailable("database: host db.internal is away"), grpc.StatusCode.UNAVAILABLE),
    ):

        async def broken(task_id: str, error: Exception = error) -> None:
            raise error

        shelf.show = broken  # type: ignore[method-assign]
        async with grpc_served(shelf) as client:
            found, text = await refused(
                client.tasks.GetTask(task_pb2.GetTaskRequest(task_id="t"), timeout=30)
            )
        assert found is code
        assert "secret" not in text
        assert "internal" not in text
