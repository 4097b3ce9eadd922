"""Tells the feed of alerts that fired, whichever process looked at the candles: asks while somebody listens."""

from __future__ import annotations

import asyncio

from ...ports.reading import Reader
from .hub import Hub

_EVERY_S = 1.0
_AT_ONCE = 200


class AlertWatch:
    """Events behind the newest of when somebody began to listen."""

    def __init__(self, hub: Hub, reader: Reader) -> None:
        self._hub, self._reader = hub, reader
        self._seen: int | None = None

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            if self._hub.wants_alerts:
                await self._ask()
            else:
                self._seen = None

    async def _ask(self) -> None:
        if self._seen is None:
            [(self._seen,)] = await self._reader.rows("alerts.last_event")
            return
        for event in await self._reader.records("alerts.news", after=self._seen, limit=_AT_ONCE):
            self._hub.alert(event)
            self._seen = event["event_id"]
