"""Alerts over a real socket: what may be asked, and that no address is taken."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from src.model.alerts import NewAlert
from tests.support.api import StandInReader, served

URL = "/api/v1/alerts"
GOOD = {"symbol": "BTCUSDT", "price": 90_000.5, "direction": "long"}


class Book:
    """``ports.alerts.AlertBook`` in memory, and what the reader says of it."""

    def __init__(self, most: int = 10) -> None:
        self.most = most
        self.alerts: dict[int, NewAlert] = {}

    async def add(self, alert: NewAlert, *, now_ms: int) -> int | None:
        if len(self.alerts) >= self.most:
            return None
        self.alerts[len(self.alerts) + 1] = alert
        return len(self.alerts)

    async def switch(self, alert_id: int, *, enabled: bool, now_ms: int) -> bool:
        return alert_id in self.alerts

    async def remove(self, alert_id: int) -> bool:
        return self.alerts.pop(alert_id, None) is not None

    def newest(self, alert_id: int | None, **_: Any) -> list[dict[str, Any]]:
        return [
            {"alert_id": number, "symbol": alert.symbol, "target": alert.target, "made_by": alert.made_by}
            for number, alert in self.alerts.items()
            if alert_id in (None, number)
        ]


def reader_of(book: Book) -> StandInReader:
    return StandInReader(
        {
            "api_work.knows": lambda exchange, symbol: [(symbol in ("BTCUSDT", "GONEUSDT"),)],
            "api_work.has_ended": lambda exchange, symbol: [(symbol == "GONEUSDT",)],
            "alerts.newest": book.newest,
        }
    )


async def test_an_alert_is_made_shown_and_removed() -> None:
    book = Book(most=1)
    async with (
        served(reader=reader_of(book), alerts=book, target_names=("phone", "desk")) as api,
        aiohttp.ClientSession(api.url) as session,
    ):
        async with session.get(f"{URL}/targets") as answer:
            assert await answer.json() == {"targets": ["desk", "phone"]}
        async with session.post(URL, json={**GOOD, "target": "desk"}) as answer:
            made = await answer.json()
            assert (answer.status, made["alert_id"], made["made_by"]) == (201, 1, "local")
        async with session.post(URL, json=GOOD) as answer:
            assert answer.status == 409
        async with session.patch(f"{URL}/1", json={"enabled": False}) as answer:
            assert answer.status == 200
        async with session.delete(f"{URL}/1") as answer:
            assert (answer.status, await answer.json()) == (200, made)
        for method in ("GET", "DELETE"):
            async with session.request(method, f"{URL}/1") as answer:
                assert answer.status == 404


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"symbol": "NOPE"}, 404, "body.symbol"),
        ({"symbol": "GONEUSDT"}, 409, "body.symbol"),
        ({"price": 0}, 422, "body.price"),
        ({"price": "100"}, 422, "body.price"),
        ({"price": True}, 422, "body.price"),
        ({"price": 1e300}, 422, "body.price"),
        ({"direction": "up"}, 422, "body.direction"),
        ({"target": "nobody"}, 404, "body.target"),
        ({"target": "http://169.254.169.254/"}, 404, "body.target"),
        ({"url": "http://169.254.169.254/"}, 422, "body.url"),
    ],
)
async def test_what_is_wrong_is_named(change: dict[str, Any], status: int, field: str) -> None:
    # H12: there is no field that takes an address.
    book = Book()
    async with (
        served(reader=reader_of(book), alerts=book, target_names=("desk",)) as api,
        aiohttp.ClientSession(api.url) as session,
        session.post(URL, json={**GOOD, **change}) as answer,
    ):
        found = await answer.json(content_type="application/problem+json")
        assert (answer.status, [error["field"] for error in found["errors"]]) == (status, [field])
    assert book.alerts == {}
