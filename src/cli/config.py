"""``marketd config``: the settings, checked and shown."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping
from typing import Literal

from pydantic import SecretStr

from ..config import Loaded, Settings, masked, setting_names
from ..config.render import env_example, markdown_table, text, yaml_example
from ..errors import EXIT_FAILURE, EXIT_OK, ConfigError
from . import output
from .context import Context

Form = Literal["table", "json", "shell"]

_EXAMPLES = {"env": env_example, "yaml": yaml_example, "markdown": markdown_table}


def run(context: Context, *, form: Form, example: str | None, get: str | None) -> int:
    """Print the examples, one value, or all settings. Raises ``ConfigError``."""
    if example is not None:
        output.line(_EXAMPLES[example]().rstrip("\n"))
        return EXIT_OK
    if get is not None:
        return _get(context, get.upper())
    loaded = context.load()
    if form == "shell":
        _shell(loaded)
        return EXIT_OK
    values = masked(loaded.settings)
    origins = {name: loaded.origins.get(name, "default" if values[name] else "not set") for name in values}
    if form == "json":
        output.as_json({name: {"value": values[name], "from": origins[name]} for name in values})
    else:
        _table(values, origins)
    return EXIT_OK


def _table(values: Mapping[str, str], origins: Mapping[str, str]) -> None:
    names = max(len(name) for name in values)
    width = max(len(value) for value in values.values())
    for name, value in values.items():
        output.line(f"{name:<{names}}  {value:<{width}}  {origins[name]}")


def _shell(loaded: Loaded) -> None:
    for name in setting_names():
        if name in loaded.origins:
            output.line(f"{name}={shlex.quote(_bare(loaded.settings, name))}")


def _bare(settings: Settings, name: str) -> str:
    value = getattr(settings, name.lower())
    return value.get_secret_value() if isinstance(value, SecretStr) else text(value)


def _get(context: Context, name: str) -> int:
    if name not in setting_names():
        close = difflib.get_close_matches(name, setting_names(), n=1)
        raise ConfigError(f"{name}: no such setting" + (f"; did you mean {close[0]}?" if close else ""))
    if shown := _bare(context.settings(), name):
        output.line(shown)
    return EXIT_OK if shown else EXIT_FAILURE
