"""What the stream refuses to start with."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.adapters.binance.stream.options import StreamOptions
from src.errors import ConfigError


@pytest.mark.parametrize(
    "url", ["wss://fstream.binance.com/market", "ws://127.0.0.1:1/market", "ws://[::1]:1/market/"]
)
def test_the_venue_over_tls_and_loopback_are_taken(url: str) -> None:
    assert StreamOptions(url=url).url == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ws://fstream.binance.com/market", "loopback|127.0.0.1"),
        ("ws://0.0.0.0:1/market", "127.0.0.1"),
        ("https://fstream.binance.com/market", "wss://"),
        ("wss://fstream.binance.com", "/market"),
        ("wss://fstream.binance.com/ws", "/market"),
        ("nonsense", "URL|host"),
    ],
)
def test_an_address_that_cannot_deliver_or_is_not_private_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        StreamOptions(url=url)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        StreamOptions(
            url="ws://example.org/market",
            proxy="socks5://127.0.0.1:1",
            ca_file=Path("/nowhere/ca.pem"),
            streams_per_connection=0,
            attempts=0,
        )
    assert len(refused.value.problems) == 5


def test_loopback_never_goes_through_the_proxy_and_all_else_does() -> None:
    proxy = "http://127.0.0.1:7890"
    assert StreamOptions(url="ws://localhost:1/market", proxy=proxy).effective_proxy is None
    assert StreamOptions(url="wss://127.0.0.1:1/market", proxy=proxy).effective_proxy is None
    assert StreamOptions(proxy=proxy).effective_proxy == proxy
    assert StreamOptions(url="wss://0.0.0.0:1/market", proxy=proxy).effective_proxy == proxy


def test_a_connection_keeps_room_for_its_own_streams() -> None:
    assert StreamOptions().symbols_per_connection == 198


def test_the_password_of_the_proxy_is_not_shown() -> None:
    assert "hunter2" not in repr(StreamOptions(proxy="http://me:hunter2@127.0.0.1:1"))
