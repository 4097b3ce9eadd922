"""The database as a kernel process sees it: whole arrays out of named queries, whole arrays into them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:  # the daemon's process has no use for numpy
    import numpy as np
    import numpy.typing as npt

    Records: TypeAlias = npt.NDArray[np.void]


class Note(Protocol):
    """Told a line for people while a kernel works, and the share done (0 to 1) where it is known."""

    def __call__(self, text: str, share: float | None = None) -> None: ...


class Tables(Protocol):
    """One database session, plain calls that block. ``query`` is ``file.name``: that query of ``sql/queries/file.sql``.

    Arrays are structured. A field is a number or a boolean and is never NULL: the query says what stands for it
    (``coalesce(x, 'NaN')``). Fields named in ``times`` are ``timestamptz`` there and UTC milliseconds (int64) here.
    All raise ``Retryable``, ``BadData`` or ``Misconfigured``.
    """

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """The rows of an ordinary query, none where it returns none."""
        ...

    def read(
        self, query: str, dtype: np.dtype[np.void], *, times: tuple[str, ...] = (), **values: Any
    ) -> Records:
        """Everything a ``COPY (SELECT ...) TO STDOUT (FORMAT BINARY)`` gives; its columns are ``dtype``'s, in order."""
        ...

    def pieces(
        self,
        query: str,
        dtype: np.dtype[np.void],
        *,
        times: tuple[str, ...] = (),
        size: int = 262_144,
        **values: Any,
    ) -> Iterator[Records]:
        """The same, ``size`` rows at a time. To be exhausted before anything else is asked."""
        ...

    def write(
        self, query: str, rows: Records, *, times: tuple[str, ...] = (), **values: Any
    ) -> list[tuple[Any, ...]]:
        """Bring ``rows`` into the temp table ``incoming``, which ``file.name_incoming`` makes, and run ``query``.

        Returns what ``query`` returns. Outside a ``transaction`` this is one of its own.
        """
        ...

    def transaction(self) -> AbstractContextManager[object]:
        """What is written inside is written whole or not at all. Compute before, not inside: a session that does
        nothing within a transaction for 30 s is ended by the server."""
        ...
