"""What is said about each setting besides its value: name, group, what it takes."""

from __future__ import annotations

from typing import Any

from .settings import Settings


def setting_names() -> tuple[str, ...]:
    """The names as they are written in the environment, in the order of the documentation."""
    return tuple(name.upper() for name in Settings.model_fields)


def is_secret(name: str) -> bool:
    """True for settings that are never printed whole."""
    return name in secret_names()


def secret_names() -> tuple[str, ...]:
    """Settings that hold a password or token; each may be given as ``NAME_FILE`` instead."""
    return (
        "DATABASE_URL",
        "DATABASE_OWNER_URL",
        "DATABASE_READER_URL",
        "HTTP_PROXY",
        "METRICS_TOKEN",
        "ALERT_TARGETS",
        "ALERT_SECRET",
    )


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
