"""Answers in memory: the same bytes, for a while, within a bound."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from src.api.cache import AnswerCache
from src.telemetry.metrics import Metrics
from tests.support.fakes import count, make_candle


def asked(query: str, **headers: str) -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "path": "/api/v1/klines",
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }
    )


def answer(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"Vary": "Accept"})


async def test_an_answer_is_kept_until_its_time_is_over() -> None:
    cache = AnswerCache()
    assert await cache.answer(asked("a"), 0) is None
    cache.keep(asked("a"), answer(b"one"), 60, 0)
    found = await cache.answer(asked("a"), 59.9)
    assert found is not None
    assert (found.body, found.headers["content-type"], found.headers["vary"]) == (
        b"one",
        "application/json",
        "Accept",
    )
    assert found.headers["content-length"] == "3"
    assert await cache.answer(asked("b"), 1) is None
    assert await cache.answer(asked("a", accept="application/vnd.apache.arrow.stream"), 1) is None
    assert await cache.answer(asked("a"), 60) is None
    assert (cache.bytes, cache.hits, cache.misses) == (0, 1, 4)


@pytest.mark.parametrize("size", [100, 5_000, 300_000])
async def test_who_takes_it_zipped_gets_it_so(size: int) -> None:
    cache, body = AnswerCache(), b"12345" * (size // 5)
    cache.keep(asked("a"), answer(body), 60, 0)
    for _ in range(2):
        plain = await cache.answer(asked("a"), 1)
        zipped = await cache.answer(asked("a", accept_encoding="br, gzip"), 1)
        assert plain is not None
        assert zipped is not None
        assert plain.body == body
        assert "content-encoding" not in plain.headers
        if size < 1024:
            assert zipped.body == body
        else:
            assert gzip.decompress(bytes(zipped.body)) == body
            assert zipped.headers["content-encoding"] == "gzip"
            assert zipped.headers["vary"] == "Accept, Accept-Encoding"
            assert zipped.headers["content-length"] == str(len(zipped.body))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 30_000), st.booleans()), max_size=40))
async def test_it_never_holds_more_than_its_bound(events: list[tuple[str, int, bool]]) -> None:
    cache = AnswerCache(100_000)
    for now, (name, size, is_read) in enumerate(events):
        if is_read:
            await cache.answer(asked(name, accept_encoding="gzip"), now)
        else:
            cache.keep(asked(name), answer(b"x" * size), 10, now)
        held = sum(kept.bytes for kept in cache._kept.values())
        assert cache.bytes == held <= 100_000


async def test_what_was_stored_is_forgotten_where_it_is_part_of_an_answer() -> None:
    cache = AnswerCache()
    for name, symbol, upto_ms in (
        ("a", "A", 120_000),
        ("all", "A", None),
        ("b", "B", 120_000),
        ("any", None, 120_000),
    ):
        cache.keep(asked(name), answer(b"one"), 60, 0, symbol=symbol, upto_ms=upto_ms)

    async def kept() -> list[str]:
        return [name for name in ("a", "all", "b", "any") if await cache.answer(asked(name), 1) is not None]

    cache.committed([make_candle("C", 0), make_candle("B", 120_000)])
    assert await kept() == ["a", "all", "b", "any"]
    cache.changed("A", 120_000)
    assert await kept() == ["a", "b", "any"]
    cache.committed([make_candle("A", 60_000)])
    assert await kept() == ["b", "any"]
    cache.changed("A", 0)
    cache.changed("B", 0)
    assert await kept() == ["any"]
    assert (cache._of, cache.bytes) == ({}, cache._kept[next(iter(cache._kept))].bytes)


async def test_an_answer_that_was_read_while_rows_were_stored_is_not_kept() -> None:
    cache = AnswerCache()
    first, second = asked("a"), asked("a")
    assert await cache.answer(first, 0) is None
    cache.changed("A", 0)
    assert await cache.answer(second, 0) is None
    cache.keep(first, answer(b"as it was, or not"), 60, 0, symbol="A", upto_ms=120_000)
    assert await cache.answer(asked("a"), 1) is None
    cache.changed("B", 0)
    cache.keep(second, answer(b"as it is"), 60, 0, symbol="A", upto_ms=120_000)
    assert await cache.answer(asked("a"), 1) is not None


async def test_what_it_does_is_counted() -> None:
    metrics = Metrics()
    cache = AnswerCache(12_000, metrics)
    for name in "abcdefgh":
        cache.keep(asked(name), answer(b"x" * 1_900), 60, 0, symbol=name, upto_ms=1)
    assert count(metrics, "api_cache_bytes") == cache.bytes > 8_000
    assert await cache.answer(asked("a"), 1) is None
    assert await cache.answer(asked("h"), 1) is not None
    assert await cache.answer(asked("h"), 60) is None
    cache.changed("g", 0)
    assert count(metrics, "api_cache_answers_total", result="miss") == 2
    assert count(metrics, "api_cache_answers_total", result="hit") == 1
    found = {
        reason: count(metrics, "api_cache_dropped_total", reason=reason)
        for reason in ("expired", "evicted", "changed")
    }
    assert found == {"expired": 1, "evicted": 4, "changed": 1}
    assert count(metrics, "api_cache_bytes") == cache.bytes


async def test_the_least_used_goes_first() -> None:
    cache = AnswerCache(40_000)
    for name in "abcdefgh":
        cache.keep(asked(name), answer(b"x" * 3_900), 60, 0)
        assert await cache.answer(asked("a"), 1) is not None
    cache.keep(asked("new"), answer(b"x" * 3_900), 60, 0)
    assert await cache.answer(asked("b"), 1) is None
    assert await cache.answer(asked("a"), 1) is not None
    cache.keep(asked("huge"), answer(b"x" * 9_500), 60, 0)
    assert await cache.answer(asked("huge"), 1) is None
