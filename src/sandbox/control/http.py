"""``/control``: the methods of ``Control`` over HTTP, for tests and people outside the process.

``POST /control/<method>`` with the arguments as a JSON object; ``GET /control/stats``, ``connections``,
``universe``, ``clock``, ``truth?symbol=&from=&to=[&dataset=metrics|funding|swaps]``;
``DELETE /control/faults[/<number>]``. Costs no weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiohttp import web

from ..faults import Fault
from ..rest.endpoints import answer
from ..venue import Venue
from .api import Control

COMMANDS = (
    "silence", "mute", "drop_close", "late_close", "shuffle", "duplicate", "wrong_time", "wrong_values",
    "burst", "malformed",
    "close", "reset", "shutdown_event", "stop_reading", "handshake", "max_age", "rest", "ban", "too_many",
    "spend_weight", "weight_limit", "early_rows", "clock_skew", "list_symbol", "delist", "halt", "resume",
    "archive", "republish", "lose", "chain_reorg", "chain_advance", "chain_lag", "chain_skip", "chain_limit",
    "chain_prune", "clear",
)  # fmt: skip


class ControlHttp:
    """The handlers of ``/control``. Wrong names and arguments are answered 400 with a sentence."""

    def __init__(self, venue: Venue, control: Control) -> None:
        self._venue = venue
        self._control = control

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/control/stats", self._stats),
            web.get("/control/connections", self._connections),
            web.get("/control/universe", self._universe),
            web.get("/control/clock", self._clock),
            web.get("/control/truth", self._truth),
            web.delete("/control/faults", self._clear),
            web.delete("/control/faults/{number}", self._end),
            web.post("/control/{command}", self._command),
        ]

    async def _stats(self, _: web.Request) -> web.Response:
        return answer(self._control.stats())

    async def _connections(self, _: web.Request) -> web.Response:
        return answer(self._control.connections())

    async def _universe(self, _: web.Request) -> web.Response:
        return answer(self._venue.listing())

    async def _clock(self, _: web.Request) -> web.Response:
        clock = self._venue.clock
        return answer(
            {
                "now_ms": clock.now_ms(),
                "speed": clock.speed,
                "start_ms": clock.start_ms,
                "anchor": clock.anchor,
                "skew_ms": clock.skew_ms,
                "replay_shift_ms": self._venue.replay.shift_ms,
            }
        )

    async def _truth(self, request: web.Request) -> web.Response:
        query = request.query
        try:
            known: dict[str, Callable[[str, int, int], Sequence[tuple[Any, ...]]]] = {
                "candles": self._venue.truth,
                "metrics": self._venue.metrics_truth,
                "funding": self._venue.funding_truth,
                "swaps": self._venue.swaps_truth,
            }
            ask = known[query.get("dataset", "candles")]
            rows = ask(query["symbol"], int(query["from"]), int(query["to"]))
        except (KeyError, ValueError) as error:
            return answer({"error": f"truth: {error}"}, status=400)
        return answer([tuple(row) for row in rows])

    async def _clear(self, _: web.Request) -> web.Response:
        self._control.clear()
        return answer({})

    async def _end(self, request: web.Request) -> web.Response:
        try:
            self._control.end_fault(int(request.match_info["number"]))
        except ValueError as error:
            return answer({"error": str(error)}, status=400)
        return answer({})

    async def _command(self, request: web.Request) -> web.Response:
        command = request.match_info["command"]
        if command not in COMMANDS:
            return answer({"error": f"no such command: {command}", "commands": COMMANDS}, status=404)
        text = await request.read()
        try:
            arguments: Any = orjson.loads(text) if text else {}
            result = getattr(self._control, command)(**arguments)
        except (TypeError, ValueError) as error:
            return answer({"error": f"{command}: {error}"}, status=400)
        return answer({"result": result.as_dict() if isinstance(result, Fault) else result})
