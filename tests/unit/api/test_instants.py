"""Moments in requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.api.market.instants import MOST_MS, parse_instant, utc

_ZONES = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_MOMENTS = st.builds(
    lambda ms, micros, zone: (utc(ms) + timedelta(microseconds=micros)).astimezone(zone),
    st.integers(86_400_000, MOST_MS - 86_400_000),
    st.integers(0, 999),
    _ZONES,
)


@given(st.integers(0, 10**9 - 1) | st.integers(10**11, MOST_MS))
def test_milliseconds_are_themselves(ms: int) -> None:
    assert parse_instant(str(ms)) == parse_instant(ms) == ms
    assert (utc(ms) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == ms


@given(_MOMENTS)
def test_every_form_of_rfc_3339_is_the_same_moment(at: datetime) -> None:
    ms = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    plain = at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    assert parse_instant(at.isoformat()) == ms
    assert parse_instant(f"{plain}Z") == parse_instant(plain.replace("T", " ") + "z") == ms
    assert parse_instant(f"{plain.split('.')[0]}Z") == ms // 1000 * 1000


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-01", 1_793_491_200_000),
        ("2026-11-01T08:00:00+08:00", 1_793_491_200_000),
        ("2026-10-31T23:59:60Z", 1_793_491_200_000),
        ("2026-11-01T00:00:00.1239Z", 1_793_491_200_123),
        ("-1", -1),
    ],
)
def test_what_people_write(text: str, ms: int) -> None:
    assert parse_instant(text) == ms


@given(st.integers(10**9, 10**11 - 1))
def test_seconds_are_told_from_milliseconds(seconds: int) -> None:
    with pytest.raises(ValueError, match=f"milliseconds are meant; .*: {seconds}000"):
        parse_instant(str(seconds))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-13-01",
        "2026-02-30T00:00:00Z",
        "2026-11-01T00:00:00",
        "2026-11-01T24:00:01Z",
        "2026-11-01T00:00:00+99:00",
        "1e3",
        "1_000",
        "٣",
        "999999999999999",
        "9999999999999999",
        None,
        True,
        1.5,
    ],
)
def test_what_is_none_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_instant(text)
