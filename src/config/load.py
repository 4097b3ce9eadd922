"""From written values to one ``Settings``, or to one list of everything that is wrong."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..errors import ConfigError
from . import layers, network
from .describe import accepts, is_secret, secret_names, setting_names
from .layers import Layer, Raw
from .settings import Settings

ENV_FILE = "MARKETD_ENV_FILE"
"""Names another file than ``.env``; ``/dev/null`` means none."""
CONFIG_FILE = "MARKETD_CONFIG_FILE"
"""Names another file than ``config.yaml``; ``/dev/null`` means none."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and where each that is not a default was written (``environment``, ``.env line 3``)."""

    settings: Settings
    origins: Mapping[str, str]


def load(
    *,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    required: Collection[str] = (),
) -> Loaded:
    """Flags over environment over ``.env`` over ``config.yaml`` over defaults.

    ``required`` names settings without a default that the caller cannot do without. Raises ``ConfigError``
    with every problem of every place at once.
    """
    environ = os.environ if environ is None else environ
    known = known_names()
    env_file, missing_env = _file(environ, ENV_FILE, ".env")
    yaml_file, missing_yaml = _file(environ, CONFIG_FILE, "config.yaml")
    found = [
        layers.from_flags(flags or {}, known),
        layers.from_environment(environ, known),
        layers.from_env_file(env_file, known),
        layers.from_yaml(yaml_file, known),
        Layer({}, (*missing_env, *missing_yaml)),
    ]
    return resolve(found, required=required)


def resolve(found: Sequence[Layer], *, required: Collection[str] = ()) -> Loaded:
    """The first layer that has a setting decides it. Raises ``ConfigError`` with every problem."""
    problems = [problem for layer in found for problem in layer.problems]
    raw: dict[str, Raw] = {}
    for layer in found:
        flat, wrong = _without_files(layer)
        problems += wrong
        raw = {**flat, **raw}
    problems += [f"{name}: is not set; set {accepts(name)}" for name in required if name not in raw]
    settings, wrong = _validate(raw)
    problems += wrong
    if problems or settings is None:
        raise ConfigError(*dict.fromkeys(problems))
    return Loaded(settings, {name: value.origin for name, value in raw.items()})


def known_names() -> tuple[str, ...]:
    """All names that may be written: the settings, and ``NAME_FILE`` for each secret."""
    return (*setting_names(), *(f"{name}_FILE" for name in secret_names()))


def _file(environ: Mapping[str, str], variable: str, default: str) -> tuple[Path, list[str]]:
    named = environ.get(variable, "")
    path = Path(named or default)
    if named and not path.exists():
        return path, [f"{variable}={named}: no such file"]
    return path, []


def _without_files(layer: Layer) -> tuple[dict[str, Raw], list[str]]:
    """The layer with each ``NAME_FILE`` replaced by the content of that file."""
    values = dict(layer.values)
    problems = []
    for name in secret_names():
        pointer = values.pop(f"{name}_FILE", None)
        if pointer is None:
            continue
        # Somebody may have written the secret itself where its file belongs.
        shown = network.without_account(str(pointer.value))
        if name in values:
            problems.append(f"{name} and {name}_FILE ({pointer.origin}): both are set; keep one")
            continue
        try:
            content = Path(str(pointer.value)).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            problems.append(f"{name}_FILE={shown} ({pointer.origin}): cannot be read: {reason}")
            continue
        if content:
            values[name] = Raw(content, f"{name}_FILE, {pointer.origin}")
        else:
            problems.append(f"{name}_FILE={shown} ({pointer.origin}): the file is empty")
    return values, problems


def _validate(raw: Mapping[str, Raw]) -> tuple[Settings | None, list[str]]:
    """All problems of single fields, then those across the fields that are fine by themselves."""
    values: dict[str, Any] = {name.lower(): item.value for name, item in raw.items()}
    problems: list[str] = []
    bad: set[str] = set()
    try:
        settings = Settings(**values)
    except ValidationError as error:
        details = _first_of_each_field(error.errors(include_url=False))
        problems = [_sentence(field, detail, raw) for field, detail in details.items()]
        bad = set(details)
        settings = Settings(**{name: value for name, value in values.items() if name not in bad})
    problems += [text for fields, text in settings.conflicts() if not fields & bad]
    return settings, problems


def _first_of_each_field(errors: Iterable[ErrorDetails]) -> dict[str, ErrorDetails]:
    first: dict[str, ErrorDetails] = {}
    for detail in errors:
        first.setdefault(str(detail["loc"][0]), detail)
    return first


def _sentence(field: str, detail: ErrorDetails, raw: Mapping[str, Raw]) -> str:
    name = field.upper()
    written = raw[name]
    text = str(written.value)
    shown = network.hide_url(text) if is_secret(name) else network.without_account(text)
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{name}={shown} ({written.origin}): {message}; set {accepts(name)}"
