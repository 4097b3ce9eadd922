"""``TaskService``: from its messages to what the desk takes, and back. Nothing here waits for the work itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from ...model import Task, TaskState
from ..asking import BIGGEST_ID, ask
from ..parts import Parts
from ..problems import ProblemError, problem
from ..protos import task_pb2
from ..security import STRANGER, Principal
from ..strict import check_json

_LINES_AT_ONCE = 500
_LOOK_S = 1.0
_JSON_CHARS = 32_768

_STATUS = {
    TaskState.PENDING: task_pb2.TASK_STATUS_RUNNING,
    TaskState.RUNNING: task_pb2.TASK_STATUS_RUNNING,
    TaskState.SUCCESS: task_pb2.TASK_STATUS_SUCCESS,
    TaskState.FAILED: task_pb2.TASK_STATUS_FAILED,
    TaskState.CANCELLED: task_pb2.TASK_STATUS_CANCELLED,
}

caller: ContextVar[Principal] = ContextVar("caller", default=STRANGER)
"""Who calls; ``Guarding`` sets it for each call."""
still_admitted: ContextVar[Callable[[], None]] = ContextVar("still_admitted", default=lambda: None)
"""Raises ``ProblemError`` once the caller's token is not valid any more: for what goes on long."""

Market = Literal["spot", "futures"]


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """``kept`` is the one symbol whose trades are kept, with its market; None where there are several or none.

    ``takes_overrides``: ``GRPC_DB_OVERRIDES``.
    """

    kept: tuple[Market, str] | None = None
    takes_overrides: bool = False
    look_s: float = _LOOK_S


class TaskService:
    """Every method raises ``ProblemError`` or one of our own errors, which ``Guarding`` makes a status of."""

    def __init__(self, parts: Parts, options: ServiceOptions) -> None:
        self._parts, self._options = parts, options

    async def CollectBinance(self, request: task_pb2.CollectBinanceRequest, _: Any) -> task_pb2.TaskResponse:
        market, symbol = request.market, request.symbol
        if not symbol:
            if self._options.kept is None:
                raise _wrong("symbol", "name one: not just one symbol is kept here")
            kept_market, symbol = self._options.kept
            market = market or kept_market
        parameters: dict[str, Any] = {"symbol": symbol, "market": market or "spot"}
        if request.import_percentage:
            parameters["import_percentage"] = request.import_percentage
        if request.chunk_size:
            parameters["chunk_size"] = request.chunk_size
        return await self._ask("CollectBinance", parameters, request.task_id)

    async def CollectUniswap(self, request: task_pb2.CollectUniswapRequest, _: Any) -> task_pb2.TaskResponse:
        parameters = {
            "pool_address": request.pool_address,
            "start_ts": _moment(request.start_ts, "start_ts"),
            "end_ts": _moment(request.end_ts, "end_ts"),
        }
        return await self._ask("CollectUniswap", parameters, request.task_id)

    async def ProcessPrices(self, request: task_pb2.ProcessPricesRequest, _: Any) -> task_pb2.TaskResponse:
        if request.db_overrides and not self._options.takes_overrides:
            raise problem(403, detail="db_overrides is not taken here: GRPC_DB_OVERRIDES is off")
        parameters: dict[str, Any] = {
            name: value
            for name, value in (
                ("start_date", request.start_date),
                ("end_date", request.end_date),
                ("aggregation_interval", request.aggregation_interval),
            )
            if value
        }
        if request.overwrite:
            parameters["overwrite"] = True
        if request.db_overrides:
            parameters["db_overrides"] = dict(request.db_overrides)
        return await self._ask("ProcessPrices", parameters, request.task_id)

    async def Analyse(self, request: task_pb2.AnalyseRequest, _: Any) -> task_pb2.TaskResponse:
        parameters: dict[str, Any] = {"overwrite": request.overwrite}
        if request.batch_id:
            parameters["batch_id"] = request.batch_id
        if request.strategy_json:
            parameters["strategy"] = _object(request.strategy_json, "strategy_json")
        return await self._ask("Analyse", parameters, request.task_id)

    async def RunTask(self, request: task_pb2.RunTaskRequest, _: Any) -> task_pb2.TaskResponse:
        parameters = _object(request.config_json, "config_json") if request.config_json else {}
        return await self._ask(request.task_type, parameters, request.task_id)

    async def GetTask(self, request: task_pb2.GetTaskRequest, _: Any) -> task_pb2.TaskResponse:
        return _answer(await self._known(request.task_id))

    async def CancelTask(self, request: task_pb2.CancelTaskRequest, _: Any) -> task_pb2.TaskResponse:
        await self._parts.desk.cancel(_checked_id(request.task_id))
        return _answer(await self._known(request.task_id))

    async def WatchTask(self, request: task_pb2.WatchTaskRequest, _: Any) -> AsyncIterator[task_pb2.TaskLine]:
        if not 0 <= request.after_number <= BIGGEST_ID:
            raise _wrong("after_number", "0 or more")
        number = request.after_number
        while True:
            # Read before the lines: what was told before the end is not left out.
            task = await self._known(request.task_id)
            found = await self._parts.desk.lines(task.task_id, after=number, limit=_LINES_AT_ONCE)
            for one in found:
                yield task_pb2.TaskLine(number=one.number, at_ms=one.at_ms, level=one.level, line=one.line)
                number = one.number
            if len(found) == _LINES_AT_ONCE:
                continue
            if task.state.over:
                return
            await asyncio.sleep(self._options.look_s)
            still_admitted.get()()

    async def _ask(self, kind: str, parameters: Mapping[str, Any], task_id: str) -> task_pb2.TaskResponse:
        task, _ = await ask(self._parts, caller.get(), kind, parameters, task_id=task_id or None, under="")
        return _answer(task)

    async def _known(self, task_id: str) -> Task:
        task = await self._parts.desk.show(_checked_id(task_id))
        if task is None:
            raise problem(404, "Unknown task", f"there is no task {task_id}")
        return task


def _answer(task: Task) -> task_pb2.TaskResponse:
    return task_pb2.TaskResponse(task_id=task.task_id, status=_STATUS[task.state])


def _wrong(field: str, message: str) -> ProblemError:
    return problem(400, detail=message, field=field)


def _checked_id(task_id: str) -> str:
    if not 1 <= len(task_id) <= 200 or "\0" in task_id:
        raise _wrong("task_id", "1 to 200 characters")
    return task_id


def _moment(seconds: int, field: str) -> str:
    """Unix seconds as the kinds take a moment."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        raise _wrong(field, "Unix seconds") from None


def _object(text: str, field: str) -> dict[str, Any]:
    """A JSON object, as strict as a body of HTTP is."""
    if len(text) > _JSON_CHARS:
        raise _wrong(field, f"{_JSON_CHARS} characters at most")
    try:
        check_json(text.encode())
    except ProblemError as error:
        raise _wrong(field, str(error.detail).replace("the body", "it")) from None
    found = orjson.loads(text)
    if not isinstance(found, dict):
        raise _wrong(field, "a JSON object")
    return found
