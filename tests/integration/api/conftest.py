"""The API is tested on the loop that it runs on: transports of uvloop differ from those of asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import uvloop

from .alert_world import book, candles

__all__ = ["book", "candles"]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}
