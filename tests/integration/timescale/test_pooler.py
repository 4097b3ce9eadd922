"""E21: a pooler between the daemon and its database is seen at the start, and named."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.role_lock import SessionLock
from src.errors import ConfigError
from tests.support.chaosproxy import ChaosProxy
from tests.support.eventually import eventually
from tests.support.processes import port_of, reserved_port

from .helpers import fetch, opened, server_address, through

_SETTINGS = """
[databases]
* = host={host} port={port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
ignore_startup_parameters = extra_float_digits
{as_whom}
"""


@asynccontextmanager
async def pooler(folder: Path, database: str, mode: str) -> AsyncIterator[str]:
    """The connection URL of ``database`` through a real pgbouncer."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    held = reserved_port()
    listen = port_of(held)
    settings = folder / "pgbouncer.ini"
    # It refuses to work as root, and reads this file before it changes.
    as_whom = "user = nobody" if os.geteuid() == 0 else ""
    known = {name: str(value) for name, value in conninfo_to_dict(database).items()}
    settings.write_text(_SETTINGS.format(**known, listen=listen, mode=mode, as_whom=as_whom))
    process = await asyncio.create_subprocess_exec(
        program, str(settings), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    url = through(database, listen)
    try:
        await eventually(lambda: _answers(url), message="pgbouncer answers")
        yield url
    finally:
        held.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_a_pooler_is_refused_by_name(tmp_path: Path, database: str, mode: str) -> None:
    async with pooler(tmp_path, database, mode) as url:
        options = DatabaseOptions(url)
        for part in (CandleStore(options), SessionLock(options), SessionLock(options, exclusive=False)):
            with pytest.raises(ConfigError, match="DATABASE_URL: a connection pooler"):
                await part.open()
            assert not part.is_open
        assert (
            await fetch(
                database,
                "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND database ="
                " (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            == []
        )


async def test_a_proxy_that_only_passes_bytes_on_is_no_pooler(database: str) -> None:
    async with ChaosProxy(server_address(database)) as proxy, opened(through(database, proxy.port)) as store:
        assert store.is_open


async def _answers(url: str) -> bool:
    try:
        async with await psycopg.AsyncConnection.connect(url, connect_timeout=5) as connection:
            return await (await connection.execute("SELECT 1")).fetchone() == (1,)
    except psycopg.OperationalError:
        return False
