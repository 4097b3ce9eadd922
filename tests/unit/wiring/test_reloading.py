"""What a reload that fails costs: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest
from pydantic import SecretStr

from src.adapters.metrics import MetricsServer
from src.adapters.status import RunInfo
from src.config import Settings
from src.telemetry.metrics import Metrics
from src.wiring.core import Core
from src.wiring.reloading import Reloading
from tests.support.eventually import eventually

ANYWHERE = "0.0.0.0"  # noqa: S104 - no port is taken
TOKEN = "correct-horse-battery"
OLD = "postgresql://u:old@h:5432/db"


def _server(core: Core, host: str = "127.0.0.1", token: str | None = None) -> MetricsServer:
    return MetricsServer(Metrics(), core.health, core.clock, RunInfo("r", "v", 0.0), host=host, token=token)


async def test_a_fault_while_it_is_read_ends_nothing() -> None:
    core = Core(Settings(), Metrics(), run_id="r")
    answers: Iterator[Exception | Settings] = iter(
        [RuntimeError("can't start new thread"), KeyError("x"), Settings(rate_limit_per_minute=600)]
    )
    read: list[object] = []

    def read_settings() -> Settings:
        answer = next(answers)
        read.append(answer)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def is_read(times: int) -> bool:
        return len(read) == times or task.done()

    reloading = Reloading(core, [], _server(core), read=read_settings, configure_logs=lambda _: None)
    task = asyncio.create_task(reloading.run(), name="reload")
    for number in range(1, 4):
        reloading.ask()
        await eventually(partial(is_read, number))
        assert not task.done()
    await eventually(lambda: core.budgets.fapi.view().limit == 600)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(("host", "left"), [("127.0.0.1", None), ("::1", None), (ANYWHERE, TOKEN)])
def test_an_address_that_others_reach_is_not_left_without_a_token(host: str, left: str | None) -> None:
    """METRICS_HOST and METRICS_TOKEN taken out together: the port stays where it is until the next start."""
    server = _server(Core(Settings(), Metrics(), run_id="r"), host, TOKEN)
    server.take_token(None)
    assert server._token == left
    server.take_token("another-token-of-ours")
    assert server._token == "another-token-of-ours"


@pytest.mark.parametrize(
    ("written", "reached"),
    [
        ("postgresql://u:new@h:5432/db", "postgresql://u:new@h:5432/db"),
        (
            "postgresql://other:new@h:5432/db?sslmode=require",
            "postgresql://other:new@h:5432/db?sslmode=require",
        ),
        ("postgresql://u:new@elsewhere:5432/db", OLD),
        ("postgresql://u:new@h:5433/db", OLD),
        ("postgresql://u:new@h:5432/another", OLD),
    ],
)
async def test_another_account_is_taken_and_another_database_is_not(written: str, reached: str) -> None:
    """Half of the sessions in another database would be two halves of a copy."""
    core = Core(Settings(database_url=SecretStr(OLD)), Metrics(), run_id="r")
    writer, reader = core.database("ws"), core.reading("api")
    asked = asyncio.Event()

    def read_settings() -> Settings:
        return Settings(database_url=SecretStr(written), rate_limit_per_minute=600)

    reloading = Reloading(core, [], _server(core), read=read_settings, configure_logs=lambda _: asked.set())
    task = asyncio.create_task(reloading.run(), name="reload")
    reloading.ask()
    await asyncio.wait_for(asked.wait(), 60)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert (writer.plain_url, reader.plain_url) == (reached, reached)
    assert "new" not in repr(writer) and "old" not in repr(writer)


@pytest.mark.parametrize(
    "written",
    ["postgresql://u:new%zz@h:5432/db", "postgresql://u:new@h:5432/db?sslmod=require"],
    ids=["a password that is not encoded", "a parameter that does not exist"],
)
async def test_an_account_that_libpq_cannot_read_changes_nothing(written: str) -> None:
    """It is a URL to everybody else."""
    core = Core(Settings(database_url=SecretStr(OLD)), Metrics(), run_id="r")
    answers = iter([written, OLD])
    read: list[str] = []
    taken: list[Settings] = []

    def read_settings() -> Settings:
        read.append(next(answers))
        return Settings(database_url=SecretStr(read[-1]), rate_limit_per_minute=600 * len(read))

    reloading = Reloading(core, [], _server(core), read=read_settings, configure_logs=taken.append)
    task = asyncio.create_task(reloading.run(), name="reload")
    reloading.ask()
    await eventually(lambda: read or task.done())
    reloading.ask()
    await eventually(lambda: taken or task.done())
    assert not task.done()
    assert [settings.rate_limit_per_minute for settings in taken] == [1200]
    assert core.database("ws").plain_url == OLD
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_the_readers_account_is_its_own() -> None:
    settings = Settings(database_url=SecretStr(OLD), database_reader_url=SecretStr("postgresql://r:old@h/db"))
    core = Core(settings, Metrics(), run_id="r")
    new = Settings(database_url=SecretStr(OLD), database_reader_url=SecretStr("postgresql://r:new@h/db"))
    assert core.reaches(new)
    core.change_account(new)
    assert core.database("ws").plain_url == OLD
    assert core.reading("api").plain_url == "postgresql://r:new@h/db"
