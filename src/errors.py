"""Every error of marketd, sorted by what the caller does about it.

MarketdError
|- ConfigError       stop, exit 78: a person must change a setting
|- AlreadyRunning    stop, exit 75: another instance holds the lock
|- Retryable         wait (at least ``retry_after`` seconds), do the same again
|  |- RateLimited    the venue's budget is spent or the address is banned
|  |- QueueFull      more tasks wait already than anybody should add to
|  `- Unavailable    the venue, the network or the database is away
`- Permanent         doing the same again gives the same answer
   |- BadData        this row or message is unusable: quarantine it, go on with the others
   |  `- BadFields   somebody asked for something with these fields wrong: tell them which
   |- UnknownSymbol  the venue does not know the symbol: drop it from the work list
   |- NotPublished   this source does not have it, not yet, no longer or never: ask the next one
   |- TooWide        the other side answers no request about so much: ask for less at a time
   `- Misconfigured  the database refuses the statement itself: keep the rows, stop writing, tell a person
"""

from __future__ import annotations

from collections.abc import Sequence

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 69
EXIT_ALREADY_RUNNING = 75
EXIT_CONFIG = 78


class MarketdError(Exception):
    """Root of all errors that marketd raises on purpose."""

    exit_code = EXIT_FAILURE


class ConfigError(MarketdError):
    """The configuration cannot work. ``problems`` lists every fault found, one line each."""

    exit_code = EXIT_CONFIG

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


class AlreadyRunning(MarketdError):
    """Another instance holds the lock; the text names it."""

    exit_code = EXIT_ALREADY_RUNNING


class Retryable(MarketdError):
    """The same call may succeed later, not before ``retry_after`` seconds have passed.

    ``reason`` is a short bounded word for metric labels, never free text.
    """

    exit_code = EXIT_UNAVAILABLE

    def __init__(self, message: str, *, reason: str = "unavailable", retry_after: float = 0.0) -> None:
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(message)


class RateLimited(Retryable):
    """The venue said 429 or 418; nobody may ask before ``retry_after`` seconds have passed."""


class QueueFull(Retryable):
    """So many tasks wait already that no more are taken."""


class Unavailable(Retryable):
    """The other side cannot be reached or is not ready: network, server or database."""


class Permanent(MarketdError):
    """The same call will fail the same way. ``reason`` is a short bounded word for metric labels."""

    def __init__(self, message: str, *, reason: str = "permanent") -> None:
        self.reason = reason
        super().__init__(message)


class BadData(Permanent):
    """One message or row is unusable; the others are not touched by it."""


class BadFields(BadData):
    """What somebody asked for has ``fields`` that are wrong: the name of each (``strategy.mode``) and what it takes."""

    def __init__(
        self, message: str, fields: Sequence[tuple[str, str]], *, reason: str = "parameters"
    ) -> None:
        self.fields = tuple(fields)
        super().__init__(message, reason=reason)


class UnknownSymbol(Permanent):
    """The venue does not know this symbol (code -1121)."""


class NotPublished(Permanent):
    """The archive answers 404: the file is not there yet, or never was; or REST no longer reaches so far back."""


class TooWide(Permanent):
    """The request is about more than the other side answers at once; halves of it may be answered."""


class Misconfigured(Permanent):
    """The database refuses the statement itself: schema drift, missing grant, wrong password."""
