"""What every command shares: the settings, loaded when a command asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..config import Loaded, Settings, load
from ..config.network import without_account
from ..errors import ConfigError


@dataclass(slots=True)
class Context:
    """The flags that stand for settings; ``load`` puts the other places behind them."""

    flags: dict[str, object] = field(default_factory=dict)

    def load(self, *required: str) -> Loaded:
        """All settings and where they come from. Raises ``ConfigError`` with every problem."""
        return load(flags=self.flags, required=required)

    def settings(self, *required: str) -> Settings:
        """All settings; ``required`` ones must be set. Raises ``ConfigError`` with every problem."""
        return self.load(*required).settings


def parse_assignments(assignments: list[str]) -> Mapping[str, object]:
    """``--set NAME=VALUE`` options as a mapping. Raises ``ConfigError``."""
    wrong = [item for item in assignments if "=" not in item]
    if wrong:
        raise ConfigError(*(f"--set {without_account(item)}: write it as --set NAME=VALUE" for item in wrong))
    return {name.strip().upper(): value for name, _, value in (item.partition("=") for item in assignments)}
