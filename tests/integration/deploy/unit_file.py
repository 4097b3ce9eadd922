"""What a systemd unit says, line by line: a key may stand there many times."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class UnitFile:
    """Values by key, whatever the section; none of our keys stands in two."""

    values: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> UnitFile:
        own = cls()
        for line in path.read_text(encoding="utf-8").splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith(("#", ";")):
                own.values.setdefault(key, []).append(value)
        return own

    def one(self, key: str) -> str:
        [value] = self.values[key]
        return value

    def environment(self, **specifiers: str) -> dict[str, str]:
        """The service's variables; ``d="/run/x"`` replaces ``%d``."""
        found: dict[str, str] = {}
        for assignment in " ".join(self.values["Environment"]).split():
            name, _, value = assignment.partition("=")
            for letter, text in specifiers.items():
                value = value.replace(f"%{letter}", text)
            found[name] = value
        return found
