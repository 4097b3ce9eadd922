"""The configuration: one frozen object, validated whole at start.

``load`` reads flags, environment, ``.env`` and ``config.yaml``; ``Settings`` holds the answer. Every setting
is described once, on its field; ``.env.example``, ``config.example.yaml``, the README's table and
``marketd config`` are rendered from there.
"""

from __future__ import annotations

from .describe import setting_names
from .load import Loaded, load
from .network import is_loopback, is_loopback_url
from .render import masked
from .settings import Settings

__all__ = ["Loaded", "Settings", "is_loopback", "is_loopback_url", "load", "masked", "setting_names"]
