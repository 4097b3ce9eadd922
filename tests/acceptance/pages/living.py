"""A whole marketd with its pages: the daemon with every role, a sandbox exchange with a past, and a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from src.model import DAY_MS
from src.sandbox import Sandbox, SandboxOptions
from tests.faults.database import ask
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.processes import free_port
from tests.support.venue import history_settings

SPEED = 20
SYMBOLS = 6
"""All of them were there from the first day on."""
DAYS = 3
_NOON_MS = 1_780_000_020_000 // DAY_MS * DAY_MS + DAY_MS // 2
"""Where the exchange's time begins, the same in every run: no day ends while anybody looks."""
_NEVER = "Bars=0 0 1 1 *"
"""What works is only what was asked for here."""
PATIENCE_S = 240.0
"""How long work of the daemon may take, on two cores that do six other things meanwhile."""


@dataclass(frozen=True, slots=True)
class Living:
    """``url`` is that of the pages."""

    sandbox: Sandbox
    daemon: Daemon
    database: str
    url: str

    async def get(self, path: str, **query: object) -> Any:
        """What a route answers."""
        wanted = {name: str(value) for name, value in query.items()}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}{path}", params=wanted) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def do(self, kind: str, **parameters: object) -> None:
        """Have a task done."""
        body = {"kind": kind, "parameters": parameters}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/api/v1/tasks", json=body) as answer,
        ):
            assert answer.status == 202, await answer.text()
            task_id = (await answer.json())["task_id"]

        async def is_done() -> bool:
            task = await self.get(f"/api/v1/tasks/{task_id}")
            assert task["state"] == "SUCCESS", task
            return True

        await eventually(is_done, timeout=PATIENCE_S)

    def symbols(self) -> list[str]:
        """What is collected and trades."""
        listing = self.sandbox.venue.listing()
        return [
            str(one["symbol"])
            for one in listing
            if one["periods"]
            and one["contract_type"] in ("PERPETUAL", "TRADIFI_PERPETUAL")
            and one["quote"] == "USDT"
        ]

    async def has_its_past(self) -> bool:
        """True once every minute of the days before today is stored."""
        symbols = self.symbols()
        (row,) = await ask(
            self.database,
            "SELECT count(*), coalesce(sum(expected - have), -1) FROM market_data.coverage_days"
            " WHERE dataset = 'candles_1m' AND day < %s::date AND symbol = ANY(%s)",
            datetime.fromtimestamp(self.sandbox.now(), UTC).date(),
            symbols,
        )
        assert row == (len(symbols) * DAYS, 0), row
        return True


@asynccontextmanager
async def living(database: str, folder: Path, **settings: str) -> AsyncIterator[Living]:
    """Everything runs and the past is filled."""
    options = SandboxOptions(
        symbols=SYMBOLS, speed=SPEED, sleeper_share=0.0, history_days=DAYS, start_ms=_NOON_MS
    )
    async with Sandbox(options) as sandbox:
        port = free_port()
        daemon = Daemon(
            {
                "DATABASE_URL": database,
                "API_PORT": str(port),
                "BINANCE_REST_URL": sandbox.rest_url,
                "BINANCE_WS_URL": sandbox.ws_url,
                **history_settings(sandbox.rest_url),
                "BACKFILL_FROM": datetime.fromtimestamp(_NOON_MS / 1000 - DAYS * 86_400, UTC)
                .date()
                .isoformat(),
                "ARCHIVE_FOLDER": str(folder / "archive"),
                "RATE_LIMIT_PER_MINUTE": "2400",
                "SCHEDULES": _NEVER,
                **settings,
            },
            folder=folder,
            arguments=("--all", "--speed", str(SPEED)),
        )
        daemon.start()
        try:
            await daemon.wait_ready(within=PATIENCE_S)
            found = Living(sandbox, daemon, database, f"http://127.0.0.1:{port}")
            await eventually(found.has_its_past, timeout=PATIENCE_S, message="the past is filled")
            yield found
            await daemon.stop()
        finally:
            await daemon.kill()
