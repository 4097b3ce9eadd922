"""Kernel processes: what they answer, what they say meanwhile, and what becomes of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from src.adapters.kernels import KernelOptions, KernelPool
from src.adapters.timescale.options import DatabaseOptions, ServerUrl
from src.errors import BadData, Unavailable
from tests.support.eventually import eventually

# Functions of the standard library stand for kernels where any will do: the pool takes what is below ``src``.
_HERE = "adapters.kernels.selfcheck"


@pytest.fixture
async def pool() -> AsyncIterator[KernelPool]:
    pool = KernelPool(KernelOptions(processes=2))
    yield pool
    await pool.close()


async def test_a_call_returns_what_its_function_returns(pool: KernelPool) -> None:
    said: list[tuple[str, float | None]] = []
    found = await pool.run(
        f"{_HERE}:echo", deadline_s=120, noted=lambda *note: said.append(note), value={"币安": [1, 2.5]}
    )
    assert found["value"] == {"币安": [1, 2.5]}
    assert found["pid"] != os.getpid()
    assert found["nice"] >= 10
    assert said == [("half", 0.5)]


async def test_the_next_call_takes_the_process_that_is_there(pool: KernelPool) -> None:
    first = await pool.run(f"{_HERE}:echo", deadline_s=120, value=1)
    second = await pool.run(f"{_HERE}:echo", deadline_s=120, value=2)
    assert first["pid"] == second["pid"]


async def test_a_process_with_the_old_password_is_not_taken_again() -> None:
    url = ServerUrl("postgresql://u:old@127.0.0.1:1/none")
    pool = KernelPool(KernelOptions(), DatabaseOptions(url))
    try:
        pids = []
        for password in ("old", "old", "new", "new"):
            url.become(f"postgresql://u:{password}@127.0.0.1:1/none")
            pids.append((await pool.run(f"{_HERE}:echo", deadline_s=120, value=1))["pid"])
    finally:
        await pool.close()
    assert pids[0] == pids[1] != pids[2] == pids[3]


async def test_errors_come_back_as_they_are(pool: KernelPool) -> None:
    with pytest.raises(BadData, match="spoilt") as caught:
        await pool.run(f"{_HERE}:fail", deadline_s=120, text="spoilt")
    assert caught.value.reason == "selfcheck"
    assert (await pool.run(f"{_HERE}:echo", deadline_s=120, value=1))["value"] == 1


@pytest.mark.parametrize("end", ["deadline", "cancelled", "killed"])
async def test_a_call_that_is_given_up_leaves_no_process(pool: KernelPool, tmp_path: Path, end: str) -> None:
    pid = (await pool.run(f"{_HERE}:echo", deadline_s=60, value=1))["pid"]
    begun = tmp_path / "begun"
    call = asyncio.create_task(
        pool.run(f"{_HERE}:hang", deadline_s=1 if end == "deadline" else 60, begun=str(begun)), name="call"
    )
    if end != "deadline":  # which comes whether it has begun by then or not
        assert int(await eventually(lambda: begun.exists() and begun.read_text())) == pid
    if end == "cancelled":
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    else:
        if end == "killed":
            os.kill(pid, 9)
        with pytest.raises(Unavailable) as caught:
            await call
        assert caught.value.reason == "kernel"
    await eventually(_is_gone(pid))
    assert (await pool.run(f"{_HERE}:echo", deadline_s=120, value=1))["pid"] != pid


async def test_one_that_takes_too_much_memory_fails_alone() -> None:
    pool = KernelPool(KernelOptions(processes=1, memory_mb=1000))
    try:
        assert await pool.run(f"{_HERE}:swell", deadline_s=120, megabytes=500) == 500
        with pytest.raises(MemoryError):
            await pool.run(f"{_HERE}:swell", deadline_s=120, megabytes=1500)
        assert await pool.run(f"{_HERE}:swell", deadline_s=120, megabytes=500) == 500
    finally:
        await pool.close()


async def test_no_more_processes_than_allowed(pool: KernelPool) -> None:
    found = await asyncio.gather(
        *(pool.run(f"{_HERE}:echo", deadline_s=60, value=number) for number in range(6))
    )
    assert [one["value"] for one in found] == list(range(6))
    assert len({one["pid"] for one in found}) <= 2


async def test_it_is_said_when_a_process_is_free(tmp_path: Path) -> None:
    pool = KernelPool(KernelOptions(processes=1))
    begun, said = tmp_path / "begun", list[str]()
    first = asyncio.create_task(
        pool.run(f"{_HERE}:hang", deadline_s=120, begun=str(begun)), name="the first call"
    )
    await eventually(begun.exists, timeout=60)
    second = asyncio.create_task(
        pool.run(f"{_HERE}:echo", deadline_s=120, began=lambda: said.append("began"), value=1),
        name="the second call",
    )
    await asyncio.sleep(0)
    assert said == []
    first.cancel()
    assert (await second)["value"] == 1
    assert said == ["began"]
    await asyncio.gather(first, return_exceptions=True)
    await pool.close()


async def test_an_idle_process_is_let_go() -> None:
    pool = KernelPool(KernelOptions(processes=1, idle_s=0.2))
    pid = (await pool.run(f"{_HERE}:echo", deadline_s=120, value=1))["pid"]
    await eventually(_is_gone(pid))
    await pool.close()


def _is_gone(pid: int) -> Callable[[], bool]:
    def condition() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    return condition
