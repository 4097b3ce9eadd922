"""Who may do what: tokens out of a file, their scopes, and the patience with wrong ones."""

from __future__ import annotations

import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from ..errors import ConfigError
from .problems import ProblemError, problem

_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+")
_URL_SAFE = re.compile(r"[A-Za-z0-9._~-]+=*")
_MIN_HEXADECIMAL_CHARS, _MIN_URL_SAFE_CHARS = 64, 43
"""32 random bytes, in hexadecimal and in URL-safe base64: 256 bits that nobody guesses."""
_HOW = "make one with `openssl rand -hex 32`"
_TOKENS_OF_A_NAME = 2
"""The old and the new one, while they are changed."""
_PATIENCE = 5
"""Wrong tokens of an address that are only refused; from then on it waits, twice as long each time."""
_LONGEST_WAIT_S = 60.0
_FORGET_S = 600.0
_MOST_ADDRESSES = 4_096

PRINCIPAL = "marketd.principal"
"""Key in a request's scope; ``Gate`` puts it there."""


class Scope(IntEnum):
    """What a token is good for; each holds the one before it."""

    READ = 1
    TASK = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. ``scope`` None is a stranger, who sees public pages alone."""

    name: str
    scope: Scope | None

    @property
    def may_read(self) -> bool:
        return self.scope is not None


STRANGER = Principal("", None)
LOCAL = Principal("local", Scope.ADMIN)
"""Everybody, where no tokens are set: the address is loopback then."""


@dataclass(frozen=True, slots=True, repr=False)
class _Known:
    digest: bytes
    principal: Principal


class Tokens:
    """The tokens that are valid now; only their hashes are kept. Without a file nobody needs one."""

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)
        self._known: tuple[_Known, ...] = ()

    @property
    def demanded(self) -> bool:
        return self._path is not None

    def load(self) -> int:
        """Read the file, now or again; returns how many there are.

        Raises ``ConfigError`` with every problem, and keeps those it had. No message holds a token.
        """
        return self.read()()

    def read(self) -> Callable[[], int]:
        """The same in two steps: what is returned takes the tokens that were read, and says how many they are."""
        if self._path is None:
            return int
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError(f"API_TOKENS_FILE={self._path}: cannot be read: {reason}") from None
        known = parse_tokens(text, where=f"API_TOKENS_FILE={self._path}")

        def take() -> int:
            self._known = known
            return len(known)

        return take

    def find(self, token: str) -> Principal | None:
        """Whose token it is. Takes as long for a right one as for a wrong one."""
        digest = _digest(token)
        found = None
        for known in self._known:
            if hmac.compare_digest(known.digest, digest):
                found = known.principal
        return found


def parse_tokens(text: str, *, where: str) -> tuple[_Known, ...]:
    """The lines ``name scope token``; empty ones and those that begin with # are left out.

    Raises ``ConfigError`` with every problem by line, and none of the tokens.
    """
    known: list[_Known] = []
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _parse_line(line)
        if isinstance(found, str):
            problems.append(f"{where} line {number}: {found}")
        else:
            known.append(found)
    problems += [f"{where}: {text}" for text in _conflicts(known)]
    if not known and not problems:
        problems.append(f"{where}: no token in it; write `name scope token`, scope read, task or admin")
    if problems:
        raise ConfigError(*problems)
    return tuple(known)


def _parse_line(line: str) -> _Known | str:
    parts = line.split()
    if len(parts) != 3:
        return "not `name scope token`"
    name, scope, token = parts
    if scope.upper() not in Scope.__members__:
        return "the scope must be read, task or admin"
    if problem := _weakness(token):
        return problem
    return _Known(_digest(token), Principal(name[:80], Scope[scope.upper()]))


def _weakness(token: str) -> str:
    """Why a token has less than 256 bits, empty where it can have them; says nothing of what is in it."""
    if not _URL_SAFE.fullmatch(token):
        return f"a token has letters, digits and . _ ~ - alone; {_HOW}"
    digits, least = ("hexadecimal digits", _MIN_HEXADECIMAL_CHARS)
    if not _HEXADECIMAL.fullmatch(token):
        digits, least = "characters", _MIN_URL_SAFE_CHARS
    found = len(token.rstrip("="))
    return (
        f"the token has {found} {digits}, {least} are the fewest (256 bits); {_HOW}" if found < least else ""
    )


def _conflicts(known: Iterable[_Known]) -> list[str]:
    names: dict[str, int] = {}
    digests: dict[bytes, str] = {}
    found = []
    for one in known:
        name = one.principal.name
        names[name] = names.get(name, 0) + 1
        if names[name] == _TOKENS_OF_A_NAME + 1:
            found.append(f"{name} has more than {_TOKENS_OF_A_NAME} tokens; keep the old and the new one")
        if digests.setdefault(one.digest, name) != name:
            found.append(f"{digests[one.digest]} and {name} have the same token")
    return found


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


class WrongTokens:
    """Which addresses gave wrong tokens, and until when their tokens are not looked at.

    A token that was right from an address before is looked at all the same: behind a proxy all share one address.
    """

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[int, float, float]] = OrderedDict()
        self._right: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def wait(self, address: str, token: str, now: float) -> float:
        """Seconds (monotonic) until a token of this address is looked at again; 0 now."""
        _, until, _ = self._wrong.get(address, (0, 0.0, 0.0))
        if until <= now or (address, _digest(token)) in self._right:
            return 0.0
        return until - now

    def wrong(self, address: str, now: float) -> None:
        count, _, since = self._wrong.pop(address, (0, 0.0, now))
        count = 1 if now - since > _FORGET_S else count + 1
        pause = min(2.0 ** (count - _PATIENCE), _LONGEST_WAIT_S) if count >= _PATIENCE else 0.0
        self._wrong[address] = (count, now + pause, now)
        while len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)

    def right(self, address: str, token: str) -> None:
        key = (address, _digest(token))
        self._right[key] = None
        self._right.move_to_end(key)
        while len(self._right) > _MOST_ADDRESSES:
            self._right.popitem(last=False)


class Guard:
    """From what a request gives to who asks: the tokens, and the patience with those who give wrong ones."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self._wrong = WrongTokens()

    def principal(self, token: str | None, address: str, now: float) -> Principal:
        """Who gives this token from there. Raises ``ProblemError`` 401, or 429 after many wrong ones."""
        if not self.tokens.demanded:
            return LOCAL
        if token is None:
            return STRANGER
        if wait := self._wrong.wait(address, token, now):
            raise problem(429, "Too many wrong tokens", "wait before you try another", retry_after=wait)
        found = self.tokens.find(token)
        if found is None:
            self._wrong.wrong(address, now)
            raise unauthorized("this token is not valid")
        self._wrong.right(address, token)
        return found


def bearer(header: str | None) -> str | None:
    """The token of ``Authorization: Bearer TOKEN``; None where there is no such header."""
    if not header:
        return None
    kind, _, token = header.strip().partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def unauthorized(detail: str) -> ProblemError:
    return problem(401, detail=detail, headers={"WWW-Authenticate": 'Bearer realm="marketd"'})


async def caller(connection: HTTPConnection) -> Principal:
    found = connection.scope.get(PRINCIPAL, STRANGER)
    assert isinstance(found, Principal)  # noqa: S101 - Gate sets it
    return found


Caller = Annotated[Principal, Depends(caller)]
"""Type of a route's parameter that takes who asks; its ``name`` is for ``requested_by``."""


@dataclass(frozen=True, slots=True)
class Needs:
    """A dependency: who asks may do what ``scope`` is for."""

    scope: Scope

    async def __call__(self, principal: Caller) -> None:
        demand(principal, self.scope)


def needs(scope: Scope) -> Any:
    """``dependencies=[needs(Scope.TASK)]`` of a route: 401 without a token, 403 with one of a smaller scope."""
    return Depends(Needs(scope))


def demand(principal: Principal, scope: Scope) -> None:
    """Raises ``ProblemError`` where ``principal`` may not do what ``scope`` is for."""
    if principal.scope is None:
        raise unauthorized("give a token as Authorization: Bearer")
    if principal.scope < scope:
        raise problem(403, detail=f"this needs a token with the scope {scope.name.lower()}")
