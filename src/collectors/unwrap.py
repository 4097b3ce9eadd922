"""The one error worth telling in a group of many."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import MarketdError


def first_error(error: BaseException) -> BaseException:
    """The first ``MarketdError`` inside nested exception groups, else the first error, else the error itself."""
    leaves = list(_leaves(error))
    return next((leaf for leaf in leaves if isinstance(leaf, MarketdError)), leaves[0])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
