from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.binance.rest.errors import DEFAULT_BAN_S, DEFAULT_WAIT_S, MAX_BAN_S, error_of
from src.errors import MarketdError, Permanent, RateLimited, Retryable, Unavailable, UnknownSymbol

NOW = 1_800_000_000.0
BANNED = "Way too many requests; IP(1.2.3.4) banned until {}. Please use the websocket for live updates."


def sort(
    status: int, text: str = "", answer: object = None, headers: dict[str, str] | None = None
) -> MarketdError:
    return error_of(status, headers or {}, text, answer, NOW)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("2.5", 2.5),
        (formatdate(NOW + 40, usegmt=True), 40.0),
        ("", DEFAULT_WAIT_S),
        ("soon", DEFAULT_WAIT_S),
        ("-5", DEFAULT_WAIT_S),
        ("99999999999", DEFAULT_WAIT_S),
        ("1e9", DEFAULT_WAIT_S),
        ("٣", DEFAULT_WAIT_S),
        (formatdate(NOW - 40, usegmt=True), DEFAULT_WAIT_S),
        ("Thu, 01 Jan 9999 00:00:00 GMT", DEFAULT_WAIT_S),
    ],
)
def test_429_waits_as_told_or_a_minute(header: str, seconds: float) -> None:
    error = sort(429, headers={"Retry-After": header} if header else {})
    assert isinstance(error, RateLimited)
    assert error.reason == "rate_limited"
    assert error.retry_after == pytest.approx(seconds)


def test_a_date_is_counted_from_the_senders_own_clock() -> None:
    headers = {
        "Retry-After": formatdate(NOW + 3640, usegmt=True),
        "Date": formatdate(NOW + 3600, usegmt=True),
    }
    error = sort(429, headers=headers)
    assert isinstance(error, RateLimited)
    assert error.retry_after == pytest.approx(40)


@pytest.mark.parametrize(
    ("until_ms", "seconds"),
    [
        (int((NOW + 120) * 1000), 120.0),
        (int((NOW + MAX_BAN_S) * 1000), MAX_BAN_S),
        (int((NOW - 5) * 1000), DEFAULT_BAN_S),
        (9_999_999_999_999_999, DEFAULT_BAN_S),
    ],
)
def test_a_ban_lasts_until_the_time_in_its_text(until_ms: int, seconds: float) -> None:
    text = BANNED.format(until_ms)
    for status, answer in ((418, None), (429, None), (400, {"code": -1003, "msg": text})):
        error = sort(status, text, answer)
        assert isinstance(error, RateLimited)
        assert error.reason == "banned"
        assert error.retry_after == pytest.approx(seconds)


def test_of_two_times_the_later_counts() -> None:
    error = sort(418, BANNED.format(int((NOW + 600) * 1000)), headers={"Retry-After": "5"})
    assert isinstance(error, RateLimited)
    assert error.retry_after == pytest.approx(600)


@pytest.mark.parametrize(
    ("status", "answer", "kind", "reason"),
    [
        (400, {"code": -1121, "msg": "Invalid symbol."}, UnknownSymbol, "unknown_symbol"),
        (400, {"code": "-1121", "msg": "Invalid symbol."}, UnknownSymbol, "unknown_symbol"),
        (400, {"code": -1003, "msg": "Too many requests"}, RateLimited, "rate_limited"),
        (400, {"code": -1130, "msg": "bad limit"}, Permanent, "refused"),
        (404, None, Permanent, "refused"),
        (403, None, Unavailable, "forbidden"),
        (408, None, Unavailable, "venue_timeout"),
        (503, {"code": -1007, "msg": "Timeout waiting"}, Unavailable, "venue_timeout"),
        (451, {"code": 0, "msg": "restricted location"}, Unavailable, "restricted"),
        (500, None, Unavailable, "server_error"),
        (503, {"code": -1008, "msg": "throttled"}, Unavailable, "overloaded"),
        (502, "not an object", Unavailable, "server_error"),
        (301, None, Unavailable, "redirect"),
        (200, {"code": -1003, "msg": "x"}, RateLimited, "rate_limited"),
    ],
)
def test_each_answer_has_its_error(
    status: int, answer: object, kind: type[MarketdError], reason: str
) -> None:
    error = sort(status, str(answer), answer)
    assert type(error) is kind
    assert getattr(error, "reason") == reason  # noqa: B009 - both branches of the tree have it


@pytest.mark.parametrize(
    ("text", "reason"), [("<html>Just a moment</html>", "html"), ("", "empty"), ('[[1,"2"', "bad_json")]
)
def test_a_good_status_without_data_is_not_good(text: str, reason: str) -> None:
    error = sort(200, text)
    assert isinstance(error, Unavailable)
    assert error.reason == reason


@given(
    status=st.integers(100, 999),
    text=st.text(),
    headers=st.dictionaries(st.sampled_from(["Retry-After", "Date"]), st.text()),
    answer=st.none()
    | st.text()
    | st.dictionaries(st.sampled_from(["code", "msg"]), st.integers() | st.text()),
)
def test_any_answer_is_sorted_and_no_wait_is_absurd(
    status: int, text: str, headers: dict[str, str], answer: object
) -> None:
    error = error_of(status, headers, text, answer, NOW)
    assert isinstance(error, Retryable | Permanent)
    if isinstance(error, Retryable):
        assert 0 <= error.retry_after <= MAX_BAN_S
