"""How one setting is declared."""

from __future__ import annotations

from typing import Any

from pydantic import Field


def setting(default: object, text: str, *, group: str, accepts: str, **constraints: Any) -> Any:
    """One field. ``accepts`` says what may be written, with unit and range; errors repeat it as the fix."""
    extra: dict[str, Any] = {"group": group, "accepts": accepts}
    return Field(default, description=text, json_schema_extra=extra, **constraints)
