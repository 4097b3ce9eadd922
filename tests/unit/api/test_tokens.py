"""Tokens out of a file, their scopes, and the patience with wrong ones."""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex, token_urlsafe

import pytest

from src.api.problems import ProblemError
from src.api.security import (
    LOCAL,
    STRANGER,
    Guard,
    Principal,
    Scope,
    Tokens,
    WrongTokens,
    bearer,
    demand,
    parse_tokens,
)
from src.errors import ConfigError

READ, TASK, ADMIN = "r" * 43, "t" * 50, "a" * 64


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"# who scope token\n\ngrafana read {READ}\nbot task {TASK}\n  me ADMIN {ADMIN}\n")
    return path


@pytest.fixture
def tokens(file: Path) -> Tokens:
    tokens = Tokens(str(file))
    assert tokens.load() == 3
    return tokens


def test_a_token_is_of_whom_the_file_says(tokens: Tokens) -> None:
    assert tokens.find(READ) == Principal("grafana", Scope.READ)
    assert tokens.find(TASK) == Principal("bot", Scope.TASK)
    assert tokens.find(ADMIN) == Principal("me", Scope.ADMIN)
    assert tokens.find(READ + "r") is None
    assert tokens.find("") is None
    assert tokens.find("\ud800") is None


def test_a_file_that_is_read_again_decides_alone(tokens: Tokens, file: Path) -> None:
    file.write_text(f"grafana read {'n' * 43}\n")
    assert tokens.load() == 1
    assert tokens.find(READ) is None
    assert tokens.find("n" * 43) == Principal("grafana", Scope.READ)


def test_a_file_that_is_wrong_changes_nothing(tokens: Tokens, file: Path) -> None:
    file.write_text("grafana read short\n")
    with pytest.raises(ConfigError):
        tokens.load()
    file.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        tokens.load()
    assert tokens.find(READ) == Principal("grafana", Scope.READ)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no token"),
        ("# nothing\n", "no token"),
        (f"me {ADMIN}\n", "line 1: not"),
        (f"me owner {ADMIN}\n", "line 1: the scope"),
        (
            f"# 1\nme admin {'a' * 63}\n",
            "line 2: the token has 63 hexadecimal digits, 64 are the fewest .*openssl rand -hex 32",
        ),
        (f"me admin {'A' * 43}\n", "line 1: the token has 43 hexadecimal digits"),
        (
            f"me admin {'g' * 42}\n",
            "line 1: the token has 42 characters, 43 are the fewest .*openssl rand -hex 32",
        ),
        (f"me admin {'g' * 42}==\n", "line 1: the token has 42 characters"),
        (f"me admin {'é' * 70}\n", "line 1: a token has letters"),
        (f"me admin {'+/' * 30}\n", "line 1: a token has letters.*openssl rand -hex 32"),
        ("".join(f"me admin {letter * 64}\n" for letter in "abc"), "me has more than 2"),
        (f"me admin {ADMIN}\nyou read {ADMIN}\n", "me and you have the same token"),
    ],
)
def test_every_problem_is_named_and_no_token_is_shown(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as raised:
        parse_tokens(text, where="API_TOKENS_FILE")
    assert all(letter * 8 not in str(raised.value) for letter in "abcé")


def test_thirty_two_random_bytes_are_a_token() -> None:
    for token in (token_hex(32), token_hex(33), token_urlsafe(32), token_urlsafe(32) + "="):
        assert len(parse_tokens(f"me admin {token}\n", where="")) == 1


def test_two_tokens_of_a_name_are_valid_at_once() -> None:
    known = parse_tokens(f"me admin {'o' * 43}\nme admin {'n' * 43}\n", where="")
    assert len(known) == 2
    assert "digest" not in repr(known)


def test_without_a_file_everybody_is_local() -> None:
    tokens = Tokens(None)
    assert tokens.load() == 0
    assert Guard(tokens).principal("whatever", "127.0.0.1", 0.0) == LOCAL


def test_wrong_tokens_make_an_address_wait_longer_and_longer(tokens: Tokens) -> None:
    guard, now = Guard(tokens), 0.0
    statuses, waits = [], []
    for _ in range(14):
        with pytest.raises(ProblemError) as raised:
            guard.principal("x" * 43, "10.0.0.1", now)
        statuses.append(raised.value.status_code)
        if raised.value.status_code == 429:
            assert raised.value.headers is not None
            waits.append(float(raised.value.headers["Retry-After"]))
            now += waits[-1]
    assert statuses[:5] == [401] * 5
    assert waits[:3] == [1.0, 2.0, 4.0]
    assert max(waits) <= 60


def test_while_an_address_waits_only_tokens_it_has_used_are_looked_at(tokens: Tokens) -> None:
    guard = Guard(tokens)
    assert guard.principal(READ, "10.0.0.1", 0.0).name == "grafana"
    for _ in range(5):
        with pytest.raises(ProblemError):
            guard.principal("x" * 43, "10.0.0.1", 0.0)
    assert guard.principal(READ, "10.0.0.1", 0.0).name == "grafana"
    with pytest.raises(ProblemError) as raised:
        guard.principal(ADMIN, "10.0.0.1", 0.0)  # right, and not looked at: a guess learns nothing
    assert raised.value.status_code == 429
    assert guard.principal(ADMIN, "10.0.0.2", 0.0).name == "me"


def test_wrong_tokens_are_forgotten_after_a_while_and_kept_for_few_addresses() -> None:
    wrong = WrongTokens()
    for _ in range(4):
        wrong.wrong("10.0.0.1", 0.0)
    wrong.wrong("10.0.0.1", 700.0)
    assert wrong.wait("10.0.0.1", "x", 700.0) == 0
    for number in range(10_000):
        wrong.wrong(f"address {number}", 0.0)
    assert len(wrong._wrong) <= 4_096


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("", None),
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", ""),
        ("Bearer", ""),
    ],
)
def test_only_a_bearer_token_is_one(header: str | None, token: str | None) -> None:
    assert bearer(header) == token


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("has", [None, *Scope])
def test_a_scope_holds_the_smaller_ones(scope: Scope, has: Scope | None) -> None:
    if has is not None and has >= scope:
        demand(Principal("me", has), scope)
        return
    with pytest.raises(ProblemError) as raised:
        demand(STRANGER if has is None else Principal("me", has), scope)
    assert raised.value.status_code == (401 if has is None else 403)
