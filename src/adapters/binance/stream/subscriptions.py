"""What one connection has asked for and what it still has to ask: pure, one request at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

import orjson

Method = Literal["SUBSCRIBE", "UNSUBSCRIBE"]


@dataclass(frozen=True, slots=True)
class Request:
    """One message to the venue: ``{"method":"SUBSCRIBE","params":["btcusdt@kline_1m"],"id":1}``."""

    number: int
    method: Method
    names: tuple[str, ...]

    def text(self) -> str:
        """The message; names stay UTF-8, which the venue takes and echoes as it is."""
        return orjson.dumps({"method": self.method, "params": self.names, "id": self.number}).decode()


class Subscriptions:
    """The way from what is held to what is wanted, in requests of at most ``limit`` names.

    Streams that go are dropped before others are added, so that the number held never passes the larger of
    the two lists. A refused request is cut in half and its names are held back until ``release``.
    """

    def __init__(self, limit: int, own: Collection[str] = ()) -> None:
        self._limit = limit
        self._own = tuple(own)
        self._wanted: dict[str, None] = dict.fromkeys(self._own)
        self._asked: set[str] = set()
        self._again: set[str] = set()
        self._held_back: set[str] = set()
        self._waiting: dict[int, Request] = {}
        self._confirmed: set[str] = set()
        self._number = 0

    @property
    def confirmed(self) -> int:
        """Wanted streams that the venue has acknowledged, our own among them."""
        return len(self._confirmed & self._wanted.keys())

    @property
    def is_complete(self) -> bool:
        """True if every wanted stream is acknowledged."""
        return self._confirmed >= self._wanted.keys()

    def want(self, names: Iterable[str]) -> None:
        """Want exactly these, and our own."""
        self._wanted = dict.fromkeys((*self._own, *sorted(names)))

    def again(self, name: str) -> None:
        """Drop a stream and ask for it anew."""
        if name in self._wanted:
            self._again.add(name)

    def release(self) -> None:
        """Try once more what the venue refused."""
        self._held_back.clear()

    def next(self) -> Request | None:
        """What to send now, None if there is nothing to ask."""
        drop = [name for name in self._asked if name not in self._wanted or name in self._again]
        if drop:
            return self._request("UNSUBSCRIBE", sorted(drop))
        self._again.clear()  # what was never asked needs no second time
        add = [name for name in self._wanted if name not in self._asked and name not in self._held_back]
        return self._request("SUBSCRIBE", add) if add else None

    def answered(self, number: object, *, refused: bool) -> Request | None:
        """The venue's answer to a request; returns it, None if it is not known."""
        request = self._waiting.pop(number, None) if isinstance(number, int) else None
        if request is None:
            return None
        if request.method == "SUBSCRIBE":
            if refused:
                self._asked -= set(request.names)
                self._held_back |= set(request.names)
                self._limit = max(len(request.names) // 2, 1)
            else:
                self._confirmed |= self._asked.intersection(request.names)
        return request

    def _request(self, method: Method, names: list[str]) -> Request:
        self._number += 1
        request = Request(self._number, method, tuple(names[: self._limit]))
        self._waiting[request.number] = request
        if method == "SUBSCRIBE":
            self._asked |= set(request.names)
        else:
            self._asked -= set(request.names)
            self._again -= set(request.names)
            self._confirmed -= set(request.names)
        return request
