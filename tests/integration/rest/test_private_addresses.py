"""H12: a name of the venue that leads into a private network is not followed there, by REST and by the stream."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from picows import WSListener
from yarl import URL

from src.adapters.binance import names
from src.adapters.binance.rest.http import GuardedSession
from src.adapters.binance.stream.dial import Dialer
from src.adapters.binance.stream.options import StreamOptions
from src.adapters.binance.stream.reasons import REASONS
from src.errors import Unavailable
from tests.support.connectproxy import ConnectProxy, Trap

NAME = "venue.example.org"
Lead = Callable[[str], None]


@pytest.fixture
def lead(monkeypatch: pytest.MonkeyPatch) -> Lead:
    """What the name server says of every name."""

    def to(address: str) -> None:
        def found(host: str, port: int) -> list[names.Address]:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))]

        monkeypatch.setattr(names, "_addresses", found)

    return to


async def _get(url: str, *, proxy: str | None = None, may_be_private: bool = False) -> str:
    """The reason of the failure: nobody answers here."""
    told: list[str] = []
    session = GuardedSession(
        url,
        proxy=proxy,
        timeout=5.0,
        on_answer=lambda _path, status, _headers, _seconds: told.append(status),
        may_be_private=may_be_private,
    )
    try:
        with pytest.raises(Unavailable) as caught:
            async with session.get(URL(url), headers={}):
                pass
    finally:
        await session.close()
    assert told == [caught.value.reason], "a request that failed is counted by its reason"
    return caught.value.reason


async def test_rest_does_not_follow_it(lead: Lead) -> None:
    async with Trap() as trap:
        lead("127.0.0.1")
        assert await _get(f"https://{NAME}:{trap.port}/") == "private_address"
        assert trap.caught == 0
        assert await _get(f"https://{NAME}:{trap.port}/", may_be_private=True) != "private_address"
        assert trap.caught == 1


async def test_the_stream_does_not_follow_it(lead: Lead) -> None:
    async with Trap() as trap:
        lead("127.0.0.1")
        with pytest.raises(Unavailable, match=r"venue\.example\.org has the address 127\.0\.0\.1") as caught:
            await Dialer(StreamOptions(url=f"wss://{NAME}:{trap.port}/market")).dial(WSListener)
        assert caught.value.reason == "private_address"
        assert trap.caught == 0
    assert "private_address" in REASONS


async def test_a_proxy_may_be_of_this_network(lead: Lead) -> None:
    """The venue's name is the proxy's to look up; its own is ours."""
    async with Trap() as trap, ConnectProxy({trap.port: ("127.0.0.1", trap.port)}) as proxy:
        lead("127.0.0.1")
        by_name = proxy.url.replace("127.0.0.1", "proxy.example.org")
        assert await _get(f"https://{NAME}:{trap.port}/", proxy=by_name) != "private_address"
        options = StreamOptions(url=f"wss://{NAME}:{trap.port}/market", proxy=by_name)
        with pytest.raises(Unavailable) as caught:
            await Dialer(options).dial(WSListener)
        assert caught.value.reason != "private_address"
        assert proxy.asked == {f"{NAME}:{trap.port}": 2}


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("198.18.0.7", True),  # a transparent proxy's stand-in
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # where clouds tell credentials
        ("100.64.0.1", False),
        ("127.0.0.53", False),
        ("0.0.0.0", False),  # noqa: S104 - it must not pass
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
    ],
)
async def test_which_addresses_are_out_in_the_world(lead: Lead, address: str, taken: bool) -> None:
    lead(address)
    resolver = names.Resolver(public=NAME)
    asked = asyncio.ensure_future(resolver.resolve(NAME, 443))
    await asyncio.wait([asked])
    assert (asked.exception() is None) == taken
    assert await resolver.resolve("proxy.example.org", 443), "another name may be of this network"


async def test_what_is_out_in_the_world_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    both: list[names.Address] = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("10.0.0.1", "8.8.8.8")
    ]
    monkeypatch.setattr(names, "_addresses", lambda _host, _port: both)
    assert await names.Resolver(public=NAME).resolve(NAME, 443) == both[1:]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://fapi.binance.com", "fapi.binance.com"),
        ("wss://FSTREAM.binance.com:443/market", "fstream.binance.com"),
        ("http://localhost:9", ""),
        ("https://127.0.0.1", ""),
        ("https://10.0.0.1", ""),
        ("wss://[fc00::1]/market", ""),
    ],
)
def test_an_address_that_is_written_is_the_one_that_is_meant(url: str, name: str) -> None:
    assert names.public_name(url) == name
