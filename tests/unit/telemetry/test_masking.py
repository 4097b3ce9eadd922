from __future__ import annotations

import io
import logging

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.telemetry import log
from src.telemetry.masking import Cleaner, escape_controls, is_secret_name, mask_text

SECRET = "s3cr3t-canary"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://marketd:{SECRET}@db.example:5432/market?sslmode=require",
        f"connect to postgres://u:{SECRET}@h failed: password authentication failed",
        f"host=db user=marketd password={SECRET} dbname=market",
        f"host=db password='it is {SECRET}' dbname=market",
        f'{{"password": "{SECRET}"}}',
        f"{{'token': '{SECRET}'}}",
        f"proxy http://user:{SECRET}@10.0.0.1:7890 refused",
        f"socks5://:{SECRET}@10.0.0.1",
        f"Authorization: Bearer {SECRET}",
        f"GET /x?api_key={SECRET}&symbol=BTCUSDT",
        f"PGPASSWORD={SECRET}",
        f"METRICS_TOKEN={SECRET} DATABASE_URL=postgresql://x:{SECRET}@h/d",
    ],
)
def test_secrets_are_masked_wherever_they_stand(text: str) -> None:
    masked = mask_text(text)
    assert SECRET not in masked
    assert "***" in masked


@pytest.mark.parametrize(
    "text",
    [
        "wss://fstream.binance.com/market/stream?streams=btcusdt@kline_1m/ethusdt@kline_1m",
        "https://fapi.binance.com/fapi/v1/klines?symbol=BTCUSDT&limit=499",
        "stored 740 candles of 币安人生USDT",
        "basic checks passed",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert mask_text(text) == text


@pytest.mark.parametrize(
    "name", ["password", "DATABASE_URL", "database_owner_url", "api_key", "dsn", "conninfo"]
)
def test_values_under_a_telling_name_are_masked_whole(name: str) -> None:
    assert is_secret_name(name)
    assert Cleaner().value({"settings": {name: SECRET}}) == {"settings": {name: "***"}}


@pytest.mark.parametrize("name", ["symbol", "msg", "rows", "base_url", "monkey", "passed"])
def test_other_names_are_not(name: str) -> None:
    assert not is_secret_name(name)


def test_known_secrets_are_masked_without_any_sign_around_them() -> None:
    cleaner = Cleaner([SECRET, SECRET + "-longer", "abc"])
    assert cleaner.text(f"got {SECRET}-longer and {SECRET}, abc") == "got *** and ***, abc"


def test_a_secret_at_the_cut_leaves_no_half() -> None:
    text = "x" * 1_990 + f" password={SECRET}" + "y" * 100
    assert "s3cr" not in Cleaner().text(text)


def test_no_secret_in_a_whole_line_not_even_in_a_traceback() -> None:
    stream = io.StringIO()
    log.configure(stream=stream, secrets=[SECRET])

    def fail() -> None:
        try:
            int(f"password={SECRET}")
        except ValueError as error:
            raise OSError(f"postgresql://u:{SECRET}@h/d") from error

    try:
        fail()
    except OSError as error:
        log.get_logger("writer").exception("failed", error=error, url=f"http://a:{SECRET}@b", **{SECRET: 1})
        logging.getLogger("psycopg").warning("retry %s", f"postgresql://u:{SECRET}@h/d", exc_info=True)
    finally:
        log.reset()
    assert SECRET not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 2


def test_a_broken_repr_does_not_lose_the_line() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError("no")

    assert Cleaner().value([Broken(), 1]) == ["<Broken>", 1]


@given(st.text())
def test_escaped_text_is_one_printable_line(text: str) -> None:
    escaped = escape_controls(text)
    assert len(escaped.splitlines()) <= 1
    escaped.encode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_value_becomes_json(value: object) -> None:
    orjson.dumps(Cleaner().value(value))
