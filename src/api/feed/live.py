"""The web socket of the live feed, ``/api/v1/live``: who listens says what, and hears it."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from fastapi import APIRouter, WebSocket

from ...errors import MarketdError, TooWide
from ..limits import network_of
from ..parts import Given, Parts
from ..problems import ProblemError, encode
from ..security import Caller, Principal, Scope, demand
from .frames import COLUMNS, Said, Subscription, parse_said
from .hub import Listener
from .protocol import LISTENER, text_frame

PATH = "/api/v1/live"
_TOKEN_WITHIN_S = 10.0
_POLICY_VIOLATION = 1008

router = APIRouter()


@router.websocket(PATH)
async def live(websocket: WebSocket, given: Given, caller: Caller) -> None:
    """Closed candles, logs of tasks and alerts as they come.

    The first message is ours, ``{"type": "hello", "columns": [...]}``. Then the client says what it wants to hear,
    ``{"subscribe": {"candles": ["BTCUSDT"] or "*", "tasks": ["id"], "alerts": true}}``, at any time again. Where tokens
    are set and none was in the request's header, it says ``{"token": "..."}`` first, or in the same message.
    """
    listener: Listener | None = websocket.scope["extensions"].get(LISTENER)
    if listener is None:  # another server than ours
        await websocket.close(_POLICY_VIOLATION)
        return
    await websocket.accept()
    conversation = _Conversation(given, listener, caller, websocket)
    try:
        await conversation.run()
    finally:
        given.hub.leave(listener)


class _Conversation:
    """What is said between the two of us. Answers go the way of the feed: at once, or the listener is cut off."""

    def __init__(self, given: Parts, listener: Listener, who: Principal, websocket: WebSocket) -> None:
        self._given, self._listener, self._who, self._websocket = given, listener, who, websocket
        self._address = network_of(websocket.client.host if websocket.client else "")
        self._token_until = asyncio.get_running_loop().time() + _TOKEN_WITHIN_S

    async def run(self) -> None:
        """Until one of us ends it."""
        self._say({"type": "hello", "version": self._given.version, "columns": COLUMNS})
        try:
            while (text := await self._next()) is not None:
                await self._hear(text)
        except TimeoutError:
            await self._end("say your token first")
        except ProblemError as error:
            await self._end(error.detail)

    async def _next(self) -> str | None:
        """The next message, empty where it was no text; None when the client is gone."""
        async with asyncio.timeout_at(None if self._who.may_read else self._token_until):
            message = await self._websocket.receive()
        return None if message["type"] == "websocket.disconnect" else message.get("text") or ""

    async def _hear(self, text: str) -> None:
        try:
            said = parse_said(text)
        except ValueError as error:
            self._complain(str(error))
            return
        if said.token is not None:
            self._who = self._given.guard.principal(said.token, self._address, monotonic())
        demand(self._who, Scope.READ)
        await self._subscribe(said)

    async def _subscribe(self, said: Said) -> None:
        if said.subscribe is None:
            return
        wanted = Subscription.of(said.subscribe)
        try:
            # What is in the logs by now is asked over HTTP, after our answer: nothing falls in between.
            await self._given.watch.follow(wanted.tasks)
        except TooWide as error:
            self._complain(str(error))
            return
        except MarketdError:
            self._complain("the logs of tasks cannot be read now; try again in a moment")
            return
        self._given.hub.hear(self._listener, wanted)
        self._say({"type": "subscribed", "subscribe": said.subscribe.model_dump()})

    def _say(self, message: dict[str, Any]) -> None:
        self._listener.push(text_frame(encode(message)))

    def _complain(self, detail: str) -> None:
        self._say({"type": "error", "detail": detail})

    async def _end(self, detail: str) -> None:
        self._complain(detail)
        await self._websocket.close(_POLICY_VIOLATION)
