"""No piece of a password is printed, however it is written and whether or not the setting is taken."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from src.cli.context import parse_assignments
from src.config import load, masked
from src.config.load import CONFIG_FILE, ENV_FILE
from src.config.network import mask_url
from src.errors import ConfigError

PIECE = 4
"""Characters in a row that would give something away."""

URLS = {
    "DATABASE_URL": "postgresql://marketd:{}@h/db",
    "DATABASE_OWNER_URL": "postgresql://h/db?password={}",
    "DATABASE_READER_URL": "mysql://marketd:{}@h/db",
    "HTTP_PROXY": "http://u:{}@h:1",
    "BINANCE_REST_URL": "https://u:{}@fapi.binance.com",
    "BINANCE_WS_URL": "wss://u:{}@fstream.binance.com/market",
    "METRICS_TOKEN_FILE": "https://u:{}@h/token",
}

# What no message and no address of these tests has, and every mark that means something in a URL.
passwords = st.text("QXZJ68ßé币:/?#@%[]\\&=+;!'\"~", min_size=PIECE)


def _shown(environ: Mapping[str, str]) -> str:
    try:
        loaded = load(environ={ENV_FILE: os.devnull, CONFIG_FILE: os.devnull, **environ})
    except ConfigError as error:
        return f"{error} {error.problems}"
    return f"{masked(loaded.settings)} {loaded.settings!r} {loaded.origins}"


def _pieces(password: str) -> set[str]:
    return {password[at : at + PIECE] for at in range(len(password) - PIECE + 1)}


@given(passwords)
@example("geheim")
@example("geh#eim")
@example("ge?heim")
@example("ge/heim")
@example("ge@he/im")
@example("1#QXZJ")
@example("1/QXZJ")
@example("1?QXZJ@QXZJ")
def test_no_piece_of_a_password_is_shown(password: str) -> None:
    for name, url in URLS.items():
        shown = _shown({name: url.format(password)})
        assert not [piece for piece in _pieces(password) if piece in shown], f"{name}: {shown}"


@pytest.mark.parametrize("password", ["geh#eim", "ge?heim", "ge/heim", "ge@he/im", "1/geheim", "1#geheim"])
@pytest.mark.parametrize("name", ["DATABASE_URL", "HTTP_PROXY"])
def test_a_password_that_must_be_encoded_is_refused_without_a_letter_of_it(name: str, password: str) -> None:
    url = URLS[name].format(password)
    with pytest.raises(ConfigError) as caught:
        load(environ={ENV_FILE: os.devnull, CONFIG_FILE: os.devnull, name: url})
    (problem,) = caught.value.problems
    scheme = url.partition("://")[0]
    assert problem.startswith(f"{name}={scheme}://*** (environment): ")


@pytest.mark.parametrize("name", ["BINANCE_REST_URL", "BINANCE_WS_URL"])
def test_the_exchange_has_no_accounts(name: str) -> None:
    shown = _shown({name: URLS[name].format("geheim")})
    assert "***" in shown and "without user" in shown
    assert "geheim" not in shown


def test_a_mistyped_flag_does_not_repeat_the_password() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_assignments(["DATABASE_URL:postgresql://marketd:geheim@h/db"])
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:ge%40he@h:5432/db", "postgresql://***@h:5432/db"),
        ("postgresql://h/db", "postgresql://h/db"),
        ("postgresql://h/db?password=ge@heim", "postgresql://***"),
        ("http://u:ge@heim@h:1", "http://***@h:1"),
        ("geheimgeheimgeheim", "***"),
    ],
)
def test_what_is_left_of_a_url_that_was_taken(url: str, shown: str) -> None:
    assert mask_url(url) == shown
