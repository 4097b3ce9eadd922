"""The Alpha list: what becomes of its entries, and that a bad list never replaces a good one."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from src.adapters.binance.alpha import PATH, AlphaList, parse_tokens
from src.clock import VenueClock
from src.collectors.listings.alpha import AlphaKeeper
from src.errors import BadData, ConfigError, RateLimited, Unavailable
from src.ports.metrics import AlphaToken
from src.telemetry.metrics import Metrics
from tests.support.fakes import StepClock
from tests.support.raw_http import answer, raw_http

ENTRY: dict[str, Any] = {
    "tokenId": "BE8DA",
    "chainId": "56",
    "contractAddress": "0x92aa",
    "name": "Quack AI",
    "symbol": "Q",
    "price": "0.0185",
    "volume24h": "126893.10",
    "marketCap": "",
    "liquidity": None,
    "decimals": 18,
    "alphaId": "ALPHA_175",
    "listingCex": False,
    "cexCoinName": "",
    "offline": False,
    "listingTime": 1757066400000,
    "mulPoint": 1,
    "somethingNew": [1],
}


def document(*entries: object, code: str = "000000") -> dict[str, Any]:
    return {"code": code, "message": None, "messageDetail": None, "success": True, "data": list(entries)}


def test_an_entry_becomes_a_token_whatever_else_it_says() -> None:
    tokens, rejected = parse_tokens(document(ENTRY))
    assert tokens == [
        AlphaToken(
            "ALPHA_175", "Q", "Quack AI", "56", "0x92aa", "", False, False, 1757066400000,
            Decimal("0.0185"), Decimal("126893.10"), None, None,
        )
    ]  # fmt: skip
    assert rejected == {}


def test_absent_keys_are_nothing_and_not_zero() -> None:
    ((token,), _) = parse_tokens(document({"alphaId": "A", "symbol": "S"}))
    assert (token.price, token.listing_ms, token.name, token.offline) == (None, None, "", False)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (3, "not_row"),
        (ENTRY | {"alphaId": None}, "bad_text"),
        (ENTRY | {"symbol": ""}, "bad_text"),
        (ENTRY | {"name": "x" * 201}, "bad_text"),
        (ENTRY | {"name": "a\x00b"}, "bad_text"),
        (ENTRY | {"name": "again"}, "duplicate"),
    ],
)
def test_unusable_entries_are_counted(entry: object, reason: str) -> None:
    tokens, rejected = parse_tokens(document(ENTRY, entry))
    assert len(tokens) == 1
    assert rejected == {reason: 1}


@pytest.mark.parametrize("bad", [None, 3, document(), {"code": "000000", "data": None}, document(7)])
def test_a_list_that_is_none_is_refused(bad: object) -> None:
    with pytest.raises(BadData):
        parse_tokens(bad)


def test_another_code_is_asked_again_later() -> None:
    with pytest.raises(Unavailable):
        parse_tokens(document(ENTRY, code="100001"))


async def test_the_list_is_read_from_its_own_host() -> None:
    metrics = Metrics()
    async with raw_http(
        answer(document(ENTRY, 3)), answer("<html>", status=503), answer("no", status=429)
    ) as http:
        alpha = AlphaList(http.url, VenueClock(), metrics)
        assert [token.symbol for token in await alpha.tokens()] == ["Q"]
        with pytest.raises(Unavailable):
            await alpha.tokens()
        with pytest.raises(RateLimited):
            await alpha.tokens()
        assert {request.path for request in http.requests} == {PATH}
    labels = {"dataset": "alpha", "reason": "not_row"}
    assert metrics.registry.get_sample_value("marketd_metric_rows_rejected_total", labels) == 1


def test_plain_http_is_for_loopback_only() -> None:
    with pytest.raises(ConfigError, match="BINANCE_ALPHA_URL"):
        AlphaList("http://example.com", VenueClock(), Metrics())


class Venue:
    """Says what it is told to."""

    def __init__(self, *answers: list[AlphaToken] | Exception) -> None:
        self.answers = list(answers)

    async def tokens(self) -> list[AlphaToken]:
        said = self.answers.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


class Kept:
    """The last list."""

    def __init__(self) -> None:
        self.tokens: Sequence[AlphaToken] = ()

    async def refresh(self, tokens: Sequence[AlphaToken]) -> tuple[int, int]:
        self.tokens = tokens
        return len(tokens), 0


async def test_the_last_good_list_stays_when_the_venue_gives_none() -> None:
    good, _ = parse_tokens(document(ENTRY))
    kept, metrics = Kept(), Metrics()
    venue = Venue(good, Unavailable("away"), BadData("no list", reason="not_list"))
    keeper = AlphaKeeper(venue, kept, StepClock(), metrics)
    assert await keeper.refresh()
    for _ in range(2):
        assert not await keeper.refresh()
    assert list(kept.tokens) == good
    value = metrics.registry.get_sample_value
    assert value("marketd_alpha_tokens") == 1
    assert value("marketd_alpha_refreshes_total", {"result": "failed"}) == 2
    assert value("marketd_alpha_last_refresh_timestamp_seconds") == StepClock().now()
