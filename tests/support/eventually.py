"""Wait for a condition, not for a time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

_INTERVAL_S = 0.02


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], *, timeout: float = 60.0, message: str = ""
) -> T: ...


@overload
async def eventually(condition: Callable[[], T], *, timeout: float = 60.0, message: str = "") -> T: ...


async def eventually(condition: Callable[[], Any], *, timeout: float = 60.0, message: str = "") -> Any:
    """Call ``condition`` until it returns something truthy, and return that.

    The deadline is for what never comes: a slow machine must not miss it, and whoever is in time waits no longer.
    ``condition`` may be a coroutine function. An ``AssertionError`` inside it means "not yet"; every other error
    is raised at once. After ``timeout`` wall seconds raises ``AssertionError`` with ``message`` and the last
    value or assertion.
    """
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            result = condition()
            value = await result if inspect.isawaitable(result) else result
            if value:
                return value
            last = value
        except AssertionError as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {message or condition}; last: {last!r}")
        await asyncio.sleep(_INTERVAL_S)
