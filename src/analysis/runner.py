"""How one task is done, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import MarketdError, Permanent, Retryable, Unavailable
from ..model import Task, TaskState
from ..ports.clock import Clock
from ..ports.tasks import Kernels, Tasks
from ..telemetry.log import get_logger
from ..telemetry.metrics import Metrics
from .jobs import Context, Kind

_log = get_logger("jobs")

_UNKNOWN = "unknown"
_OUTCOMES = ("success", "failed", "cancelled", "again")


class Runner:
    """Does tasks of the kinds it knows, whoever asked for them. ``version`` goes into every result."""

    def __init__(
        self,
        kinds: Mapping[str, Kind[Any]],
        tasks: Tasks,
        kernels: Kernels,
        clock: Clock,
        metrics: Metrics,
        *,
        version: str,
    ) -> None:
        self._kinds, self._tasks, self._kernels = kinds, tasks, kernels
        self._clock, self._metrics, self._version = clock, metrics, version
        for kind in (*kinds, _UNKNOWN):  # a series that is there from the start can be alerted on
            for outcome in _OUTCOMES:
                metrics.tasks.labels(kind=kind, outcome=outcome)

    async def do(self, task_id: str, *, is_wanted: Callable[[], bool]) -> None:
        """One attempt. A task that is over, or that nobody knows, is left alone.

        Raises ``Retryable`` for what is worth another attempt, while the kind allows one; everything else is written
        into the task. ``is_wanted`` says of a task that is cancelled whether somebody else shall do it.
        """
        task = await self._tasks.begin(task_id)
        if task is None:
            return
        began = self._clock.monotonic()
        try:
            result = await self._attempt(task)
        except asyncio.CancelledError:
            state = TaskState.PENDING if is_wanted() else TaskState.CANCELLED
            try:
                await asyncio.shield(self._ended(task, state, began))
            except MarketdError as error:  # it stays RUNNING until somebody takes it over
                _log.warning("task_left", msg=f"{task.kind}: {error}", task=task_id)
            raise
        except Retryable as error:
            if task.failures + 1 < self._attempts(task):
                await self._ended(task, TaskState.PENDING, began, error=str(error))
                raise
            await self._ended(task, TaskState.FAILED, began, error=str(error))
        except MarketdError as error:
            await self._ended(task, TaskState.FAILED, began, error=str(error))
        except Exception as error:
            _log.exception("task_failed", msg=f"{task.kind}: {error}", task=task_id)
            await self._ended(task, TaskState.FAILED, began, error=f"{type(error).__name__}: {error}")
        else:
            await self._ended(task, TaskState.SUCCESS, began, result=result)

    async def _attempt(self, task: Task) -> Mapping[str, Any]:
        kind = self._kinds.get(task.kind)
        if kind is None:
            known = ", ".join(sorted(self._kinds)) or "none"
            raise Permanent(f"there is no task called {task.kind} here; known are {known}", reason="kind")
        parameters = kind.asked(task.parameters)
        try:
            async with asyncio.timeout(kind.deadline_s) as within:
                context = Context(task, self._tasks, self._kernels, kind.deadline_s, within)
                found = await kind.run(context, parameters)
        except TimeoutError:
            raise Unavailable(
                f"{task.kind}: no end within {kind.deadline_s:g} s", reason="deadline"
            ) from None
        return {**found, "parameters": parameters.model_dump(mode="json"), "version": self._version}

    def _attempts(self, task: Task) -> int:
        kind = self._kinds.get(task.kind)
        return 1 if kind is None else kind.attempts

    async def _ended(
        self,
        task: Task,
        state: TaskState,
        began: float,
        *,
        error: str = "",
        result: Mapping[str, Any] | None = None,
    ) -> None:
        # A kind that is not known here came from somebody's hands, and is no label.
        label = task.kind if task.kind in self._kinds else _UNKNOWN
        outcome = "again" if state is TaskState.PENDING else state.value.lower()
        self._metrics.tasks.labels(kind=label, outcome=outcome).inc()
        took = self._clock.monotonic() - began
        self._metrics.task_seconds.labels(kind=label).observe(took)
        if state is TaskState.SUCCESS:
            _log.info("task_done", msg=f"{task.kind}: done in {took:.1f} s", task=task.task_id)
        if error:
            _log.warning("task_error", msg=f"{task.kind}: {error}", task=task.task_id, attempt=task.attempts)
        if not await self._tasks.end(task, state, error=error, result=result):
            _log.warning("task_overtaken", msg=f"{task.kind}: another attempt has begun", task=task.task_id)
