"""Types of fields in bodies: JSON's own kinds. Text is no number, a number no switch and no moment."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, StrictBool


def _number(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("a number, without quotation marks")  # noqa: TRY004 - the one that pydantic makes a field's error of
    return value


def _text(value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise ValueError("RFC 3339, such as 2026-11-01T00:00:00Z")
    return value


Flag = StrictBool
Whole = Annotated[int, BeforeValidator(_number)]
Amount = Annotated[float, BeforeValidator(_number)]
Moment = Annotated[AwareDatetime, BeforeValidator(_text)]
"""A time with its offset from UTC."""
