"""Hands the pieces of a file from the thread that parses to the one that loads. Imported in worker processes only."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from ....errors import MarketdError, Unavailable

T = TypeVar("T")


class Pieces(Generic[T]):
    """A queue of one piece: ``feed`` in one thread, ``take`` in another. Whoever takes may stop before the end."""

    def __init__(self, make: Callable[[], Iterator[T]]) -> None:
        self._make = make
        self._waiting: queue.Queue[T | MarketdError | None] = queue.Queue(maxsize=1)
        self._wanted = True
        self._ended = False

    def feed(self) -> None:
        """Make all pieces; an error takes the place of the rest."""
        try:
            for piece in self._make():
                if not self._wanted:
                    break
                self._waiting.put(piece)
        except MarketdError as error:
            self._waiting.put(error)
        except (OSError, MemoryError) as error:
            self._waiting.put(Unavailable(f"the file cannot be read: {error}", reason="file"))
        except BaseException as error:
            # Pieces that just ended would look like the whole file.
            self._waiting.put(Unavailable(f"the file could not be parsed: {error!r}", reason="file"))
            raise
        finally:
            self._waiting.put(None)

    def take(self) -> Iterator[T]:
        """The pieces as they come. Raises what making them raised."""
        while not self._ended:
            piece = self._waiting.get()
            if piece is None:
                self._ended = True
            elif isinstance(piece, MarketdError):
                raise piece
            else:
                yield piece

    def drain(self) -> None:
        """Take no more: the thread that feeds must not wait for ever."""
        self._wanted = False
        while not self._ended:
            self._ended = self._waiting.get() is None
