"""The settings as text: masked values, and the examples and tables made from the descriptions."""

from __future__ import annotations

import textwrap
from itertools import groupby

from pydantic import SecretStr

from . import network
from .describe import accepts, group, secret_names, setting_names
from .settings import Settings

_WIDTH = 110
_HEAD = (
    "Environment over .env over config.yaml over default; an empty value counts as not set; unknown names are"
    " refused."
)


def masked(settings: Settings) -> dict[str, str]:
    """Every setting by its upper-case name as text, secrets masked, empty when not set."""
    return {name: text(getattr(settings, name.lower())) for name in setting_names()}


def text(value: object) -> str:
    """A value as one would write it in the environment, secrets masked."""
    match value:
        case None:
            return ""
        case SecretStr():
            return network.mask_url(value.get_secret_value())
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:g}"
        case tuple():
            return ",".join(value)
        case dict():
            return ",".join(f"{name}={level}" for name, level in value.items())
        case _:
            return str(value)


def env_example() -> str:
    """The text of ``.env.example``."""
    lines = [*_comment(f"Copy to .env and take the # from what you change. {_HEAD}")]
    lines += _comment(
        f"{', '.join(secret_names())} may be given as NAME_FILE instead: the path of a file with the value."
    )
    for heading, names in groupby(setting_names(), key=group):
        lines += ["", f"# --- {heading} ---"]
        for name in names:
            lines += ["", *_comment(_description(name)), f"#{name}={_default(name)}"]
    return "\n".join(lines) + "\n"


def yaml_example() -> str:
    """The text of ``config.example.yaml``."""
    lines = [*_comment(f"Copy to config.yaml and take the # from what you change. {_HEAD}")]
    lines += _comment(
        "Passwords do not belong here: put them into the environment, .env (mode 0600) or a NAME_FILE."
    )
    for heading, names in groupby(setting_names(), key=group):
        lines += ["", f"# --- {heading} ---"]
        for name in names:
            key = f"{name.lower()}_file" if name in secret_names() else name.lower()
            lines += ["", *_comment(_description(name)), f"#{key}: {_yaml(name)}".rstrip()]
    return "\n".join(lines) + "\n"


def markdown_table() -> str:
    """The README's table: one row a setting."""
    lines = ["| setting | default | what it is |", "|---|---|---|"]
    for name in setting_names():
        default = f"`{_default(name)}`" if _default(name) else ""
        lines.append(f"| `{name}` | {default} | {_description(name).replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def _description(name: str) -> str:
    return f"{Settings.model_fields[name.lower()].description} Takes {accepts(name)}."


def _default(name: str) -> str:
    return text(Settings.model_fields[name.lower()].default)


def _yaml(name: str) -> str:
    default = Settings.model_fields[name.lower()].default
    if isinstance(default, tuple):
        return "[" + ", ".join(f'"{item}"' for item in default) + "]"
    if isinstance(default, dict):
        return "{" + ", ".join(f'{key}: "{value}"' for key, value in default.items()) + "}"
    return _default(name)


def _comment(sentence: str) -> list[str]:
    return textwrap.wrap(
        sentence, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )
