"""Providers' words, as they were reported by people who met them, and what each means here."""

from __future__ import annotations

from typing import Any

import pytest

from src.adapters.ethereum.errors import error_of, refused_status
from src.errors import MarketdError, Permanent, RateLimited, TooWide, Unavailable
from src.sandbox.chain.rpc import RANGE_WORDS, RESULT_WORDS

WIDE = [
    {"code": -32602, "message": "range 1000000 exceeds limit of 10000"},
    {"code": -32005, "message": "query returned more than 10000 results"},
    {"code": -32614, "message": "eth_getLogs is limited to a 10,000 range"},
    {
        "code": -32600,
        "message": "You can make eth_getLogs requests with up to a 500 block range. Based on your parameters, this"
        " block range should work: [0x1a30dfd, 0x1a30ff0]",
    },
    {
        "code": -32000,
        "message": "block range is larger than max block range, block range = 5120, max block range = 5000",
    },
    {"code": -32602, "message": "query exceeds max block range 5000"},
    {"code": -32600, "message": "block range too high"},
    {
        "code": -32602,
        "message": "invalid params",
        "data": {"error_id": "4ed9", "payload": "range 9009594 is bigger than range limit 2000"},
    },
    {
        "code": -32602,
        "message": "Log response size exceeded. You can make requests with up to a 2K block range",
    },
    {"code": -32000, "message": "query timeout exceeded"},
]


@pytest.mark.parametrize("error", WIDE, ids=lambda error: error["message"][:40])
def test_a_range_that_is_too_wide_is_told_by_its_words(error: dict[str, Any]) -> None:
    assert isinstance(error_of("eth_getLogs", error), TooWide)
    assert not isinstance(error_of("eth_call", error), TooWide)


@pytest.mark.parametrize(
    ("code", "text"), [(code, text) for _, code, text in (*RANGE_WORDS.values(), RESULT_WORDS)]
)
def test_the_sandbox_speaks_words_that_are_understood(code: int, text: str) -> None:
    said = text.format(blocks=20_000, limit=10_000, first=1, last=2)
    assert isinstance(error_of("eth_getLogs", {"code": code, "message": said}), TooWide)


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        ({"code": -32005, "message": "daily request count exceeded, request rate limited"}, RateLimited, "rate"),
        ({"code": 429, "message": "compute units per second capacity"}, RateLimited, "rate"),
        ({"code": -32000, "message": "header not found"}, Unavailable, "lag"),
        ({"code": -32000, "message": "unknown block"}, Unavailable, "lag"),
        ({"code": -32000, "message": "missing trie node 0123"}, Permanent, "pruned"),
        ({"code": -32601, "message": "the method eth_getBlockReceipts does not exist"}, Permanent, "method"),
        ({"code": 3, "message": "execution reverted"}, Permanent, "refused"),
        ({"code": -32602, "message": "invalid argument 0"}, Permanent, "refused"),
        ({"code": -32603, "message": "internal error"}, Unavailable, "node"),
        ({"code": "?", "message": None}, Unavailable, "node"),
        ({}, Unavailable, "node"),
    ],
    ids=str,
)  # fmt: skip
def test_other_errors_are_sorted_by_what_is_done_about_them(
    error: dict[str, Any], kind: type[MarketdError], reason: str
) -> None:
    found = error_of("eth_getLogs", error)
    assert type(found) is kind
    assert getattr(found, "reason", "") == reason


@pytest.mark.parametrize(
    "error",
    [
        {"code": 3, "message": "execution reverted"},
        {"code": -32000, "message": "execution reverted", "data": "0x"},
        {"code": -32015, "message": "VM execution error.", "data": "Reverted 0x"},
    ],
    ids=str,
)
def test_a_call_that_the_contract_refuses_is_not_made_again(error: dict[str, Any]) -> None:
    """So it is with a pool that is none: its contract knows no such function."""
    found = error_of("eth_call", error)
    assert type(found) is Permanent
    assert found.reason == "refused"


@pytest.mark.parametrize("given", ["86400", "9" * 400])
def test_a_node_cannot_ask_for_more_than_an_hour(given: str) -> None:
    limited = refused_status(429, {"Retry-After": given})
    assert isinstance(limited, RateLimited)
    assert limited.retry_after == 3600


def test_an_http_status_that_says_enough_is_taken_at_its_word() -> None:
    limited = refused_status(429, {"Retry-After": "7"})
    assert isinstance(limited, RateLimited)
    assert limited.retry_after == 7
    assert isinstance(refused_status(403, {}), Permanent)
    assert isinstance(refused_status(502, {}), Unavailable)
    assert refused_status(200, {}) is None
    assert refused_status(413, {}) is None  # the body says why


def test_a_key_that_the_node_repeats_is_not_shown() -> None:
    key = "0123456789abcdef"
    error = error_of("eth_chainId", {"code": -32600, "message": f"project {key} is suspended"}, secrets=[key])
    assert key not in str(error) and "is suspended" in str(error)


@pytest.mark.parametrize("said", ["no", ["no"], 3, {"code": [], "message": None, "data": {"a": 1}}])
def test_an_error_of_another_shape_is_one_too(said: object) -> None:
    assert str(error_of("eth_chainId", said)).startswith("node: eth_chainId: ")
