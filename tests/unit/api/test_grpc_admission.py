"""What a call over gRPC needs to be let in: so many for an address, so many for a token."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from time import monotonic

import pytest

from src.api.grpc.guarding import HEALTH, SERVICE, Guarding
from src.api.limits import Limits
from src.api.problems import ProblemError
from src.api.security import LOCAL, STRANGER, Guard, Tokens
from src.telemetry.metrics import Metrics

GET = f"/{SERVICE}/GetTask"
TRIES = 40


class Call:
    """As much of a call's context as admission looks at."""

    def __init__(self, address: str, token: str | None = None) -> None:
        self._address, self._token = address, token

    def peer(self) -> str:
        return f"ipv4:{self._address}:5000"

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return [("user-agent", "x")] + ([("authorization", f"Bearer {self._token}")] if self._token else [])


def guarding(file: Path | None = None) -> Guarding:
    """Ten at once, and one a second."""
    tokens = Tokens(None if file is None else str(file))
    tokens.load()
    return Guarding(Guard(tokens), Limits(requests_per_minute=60), Metrics())


def let_in(guard: Guarding, calls: Iterator[Call]) -> tuple[int, int]:
    """How many of them are, and the most that may be by now."""
    began, count = monotonic(), 0
    for _ in range(TRIES):
        try:
            guard._admit(GET, next(calls))
        except ProblemError as error:
            assert error.status_code == 429
            assert "API_REQUESTS_PER_MINUTE" in str(error.detail)
        else:
            count += 1
    return count, 10 + int(monotonic() - began) + 1


def test_an_address_has_so_many_calls() -> None:
    guard = guarding()
    count, most = let_in(guard, cycle([Call("10.0.0.1")]))
    assert 10 <= count <= most < TRIES
    assert guard._admit(GET, Call("10.0.0.2")) == LOCAL, "another address has its own"
    assert guard._admit(f"/{HEALTH}/Check", Call("10.0.0.1")) == STRANGER


def test_a_token_has_so_many_calls_wherever_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"bot read {'b' * 64}\nother read {'c' * 64}\n")
    guard = guarding(file)
    count, most = let_in(guard, (Call(f"10.0.0.{number}", "b" * 64) for number in range(TRIES)))
    assert 10 <= count <= most < TRIES
    assert guard._admit(GET, Call("10.0.1.1", "c" * 64)).name == "other"
    with pytest.raises(ProblemError) as raised:
        guard._admit(GET, Call("10.0.1.2"))
    assert raised.value.status_code == 401
