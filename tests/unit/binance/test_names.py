from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from src.adapters.binance import names
from src.adapters.binance.names import Resolver, RestResolver
from tests.support.eventually import eventually

_FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]


class NameService:
    """In the C library's place: look-ups hang while ``up`` is not set, those that began before it too."""

    def __init__(self) -> None:
        self.up = threading.Event()
        self.freed = threading.Event()
        self.began = 0

    def look_up(self, host: str, port: int) -> list[names.Address] | OSError:
        self.began += 1
        if not self.up.is_set():
            self.freed.wait(300)
            return socket.gaierror(socket.EAI_AGAIN, "timed out")
        return list(_FOUND)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameService]:
    service = NameService()
    monkeypatch.setattr(names, "_addresses", service.look_up)
    yield service
    service.freed.set()


async def test_a_name_is_asked_for_again_beside_a_look_up_that_hangs(service: NameService) -> None:
    """A9: the first look-up would still hang for half a minute after the name server is back."""
    resolver = Resolver(again_s=0.05)
    asking = asyncio.create_task(resolver.resolve("venue", 443))
    await eventually(lambda: service.began >= 2)
    assert not asking.done()
    service.up.set()
    async with asyncio.timeout(60):
        assert await asking == _FOUND
    assert await resolver.resolve("venue", 443) == _FOUND, "those that still hang are in nobody's way"


async def test_no_thread_to_look_up_in_is_an_error_of_that_time_alone(
    service: NameService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F8: at the limit of processes, for longer than eight times; then names are looked up as before."""
    service.up.set()
    resolver = Resolver()
    with monkeypatch.context() as limit:

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        limit.setattr(threading.Thread, "start", refuse)
        for _ in range(10):
            with pytest.raises(OSError, match="no thread"):
                await resolver.resolve("venue", 443)
    async with asyncio.timeout(60):
        assert await resolver.resolve("venue", 443) == _FOUND


async def test_no_more_than_eight_hang_at_once(service: NameService) -> None:
    resolver = Resolver(again_s=0.01)
    asking = [asyncio.create_task(resolver.resolve("venue", 443)) for _ in range(3)]
    await eventually(lambda: service.began == 8)
    await asyncio.sleep(0.1)  # nothing tells that nothing happens
    assert service.began == 8
    service.freed.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(result) for result in results] == [socket.gaierror] * 3
    await eventually(lambda: not resolver._running)
    service.up.set()
    assert await resolver.resolve("venue", 443) == _FOUND


async def test_who_asks_for_the_same_name_shares_one_look_up(service: NameService) -> None:
    resolver = Resolver()
    asking = [asyncio.create_task(resolver.resolve("venue", 443)) for _ in range(20)]
    await eventually(lambda: service.began == 1)
    asking[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking[0]
    service.freed.set()
    results = await asyncio.gather(*asking[1:], return_exceptions=True)
    assert {type(result) for result in results} == {socket.gaierror}
    assert service.began == 1


async def test_a_question_that_nobody_waits_for_any_more_is_answered_in_silence(service: NameService) -> None:
    resolver = Resolver()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await resolver.resolve("venue", 443)
    service.freed.set()
    await eventually(lambda: not resolver._questions)


async def test_a_label_that_no_name_may_have_is_no_such_name() -> None:
    with pytest.raises(socket.gaierror):
        await Resolver().resolve("a" * 70, 443)


async def test_rest_gets_numeric_addresses_of_the_family_it_asks_for() -> None:
    resolver = RestResolver()
    [found] = await resolver.resolve("127.0.0.1", 443)
    assert (found["hostname"], found["host"], found["port"]) == ("127.0.0.1", "127.0.0.1", 443)
    assert found["family"] == socket.AF_INET
    assert await resolver.resolve("127.0.0.1", 443, socket.AF_INET6) == []
    await resolver.close()


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("10.0.0.1", 443), "10.0.0.1"),
        (("2001:db8::1", 443, 0, 0), "2001:db8::1"),
        (("fe80::1", 443, 0, 3), "fe80::1%3"),
        (("fe80::1%eth0", 443, 0, 3), "fe80::1%eth0"),
    ],
)
def test_an_address_of_one_link_names_it(address: tuple[object, ...], text: str) -> None:
    assert names._numeric(address) == text
