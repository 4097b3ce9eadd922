"""Plugins by theme; see tests/fixtures."""

from __future__ import annotations

pytest_plugins = [
    "tests.fixtures.data",
    "tests.fixtures.database",
    "tests.fixtures.isolation",
    "tests.fixtures.selection",
    "tests.fixtures.summary",
]
