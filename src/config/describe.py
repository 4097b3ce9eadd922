"""What is said about each setting besides its value: name, group, what it takes."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

from pydantic import SecretStr

from .settings import Settings


def setting_names() -> tuple[str, ...]:
    """The names as they are written in the environment, in the order of the documentation."""
    return tuple(name.upper() for name in Settings.model_fields)


def is_secret(name: str) -> bool:
    """True for settings that are never printed whole."""
    return name in secret_names()


@cache
def secret_names() -> tuple[str, ...]:
    """Settings that hold a password, token or key; each may be given as ``NAME_FILE`` instead."""
    fields = Settings.model_fields.items()
    return tuple(name.upper() for name, field in fields if _holds_secret(field.annotation))


def _holds_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in get_args(annotation))


def accepts(name: str) -> str:
    """What may be written for the setting, with unit and range."""
    return str(_extra(name)["accepts"])


def group(name: str) -> str:
    """The heading under which the setting is documented."""
    return str(_extra(name)["group"])


def _extra(name: str) -> dict[str, Any]:
    extra = Settings.model_fields[name.lower()].json_schema_extra
    if not isinstance(extra, dict):
        raise TypeError(f"{name} is not made by _setting")
    return extra
