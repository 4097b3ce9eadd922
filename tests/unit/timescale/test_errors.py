"""The table of SQLSTATEs (facts about PostgreSQL, appendix A), row by row."""

from __future__ import annotations

import psycopg
import pytest

from src.adapters.timescale.errors import judge, sqlstate_class, translate
from src.errors import BadData, MarketdError, Misconfigured, Unavailable

RETRY = "08000 08001 08003 08004 08006 25000 25001 25006 25P02 25P03 40001 40P01 53000 53100 53200 53300 55006 55P03"
RETRY += " 57014 57P01 57P02 57P03 57P05 58030 XX000"
BISECT = "21000 22000 22001 22003 22007 22008 22021 22P02 22P03 23502 23505 23514 54000"
STOP = "0A000 0LP01 28000 28P01 3D000 3F000 42501 42601 42703 42883 42P01 42P10 53400 57P04"


class Failure(psycopg.OperationalError):
    """Any SQLSTATE; psycopg has no class for the unknown ones."""

    def __init__(self, code: str | None) -> None:
        super().__init__("it\nfailed")
        self.sqlstate = code


@pytest.mark.parametrize("code", RETRY.split())
def test_is_tried_again(code: str) -> None:
    assert isinstance(translate(Failure(code)), Unavailable)


@pytest.mark.parametrize("code", BISECT.split())
def test_is_bisected(code: str) -> None:
    assert isinstance(translate(Failure(code)), BadData)


@pytest.mark.parametrize("code", STOP.split())
def test_stops_writing(code: str) -> None:
    assert isinstance(translate(Failure(code)), Misconfigured)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.OperationalError("the connection is lost"), Unavailable),
        (psycopg.InterfaceError("the connection is closed"), Unavailable),
        (ConnectionResetError("reset"), Unavailable),
        (psycopg.DataError("NUL"), BadData),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), BadData),
        (OverflowError("int too large"), BadData),
        (psycopg.errors.UniqueViolation("twice"), BadData),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
def test_errors_without_sqlstate(error: Exception, kind: type[MarketdError]) -> None:
    assert type(translate(error)) is kind


@pytest.mark.parametrize("code", ["08006", "25006", "57P01", "XX000", None])
def test_costs_the_session(code: str | None) -> None:
    assert judge(Failure(code)).reconnect


@pytest.mark.parametrize("code", ["55P03", "57014", "40P01", "23514", "42P01"])
def test_keeps_the_session(code: str) -> None:
    assert not judge(Failure(code)).reconnect


def test_the_text_is_one_line_with_the_code() -> None:
    assert str(translate(Failure("55P03"))) == "database: it failed (55P03)"
    assert str(translate(psycopg.OperationalError())) == "database: OperationalError"


def test_what_keeps_a_session_from_coming_about_says_where_to_look() -> None:
    wrong = psycopg.OperationalError('connection failed: FATAL: password authentication failed for user "x"')
    assert str(translate(wrong)).endswith(
        "; user and password stand in DATABASE_URL, or whichever URL was given"
    )
    assert "DATABASE_URL" not in str(translate(psycopg.OperationalError("server closed the connection")))


def test_the_metric_label_is_bounded() -> None:
    assert [sqlstate_class(Failure(code)) for code in ("57P01", None)] == ["57", "none"]
    assert sqlstate_class(OSError()) == "none"
