"""The one error worth telling in a group of many."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import MarketdError


def first_error(error: BaseException) -> BaseException:
    """The first ``MarketdError`` inside nested exception groups, else the first error, else the error itself."""
    leaves = list(_leaves(error))
    return next((leaf for leaf in leaves if isinstance(leaf, MarketdError)), leaves[0])


def is_foreseen(error: BaseException) -> bool:
    """Whether nothing but ``MarketdError`` went wrong, also in the group that the error stands for."""
    group = error if isinstance(error, BaseExceptionGroup) else error.__cause__
    wrong = [] if error is group else [error]
    if isinstance(group, BaseExceptionGroup):
        wrong += _leaves(group)
    return all(isinstance(leaf, MarketdError) for leaf in wrong)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
