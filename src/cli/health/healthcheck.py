"""``marketd healthcheck``: 0 if the daemon says so, else 1 and why."""

from __future__ import annotations

from ...errors import EXIT_FAILURE, EXIT_OK
from .. import output
from ..context import Context
from .daemon_http import ask, base_url


def run(context: Context, *, live: bool, timeout: float) -> int:
    """Ask ``/healthz`` (live) or ``/readyz``. Raises ``ConfigError``."""
    settings = context.settings()
    path = "/healthz" if live else "/readyz"
    answer = ask(settings, path, timeout=timeout)
    if answer.ok:
        output.line("healthy" if live else "ready")
        return EXIT_OK
    if answer.code:
        output.note(
            f"{base_url(settings)}{path} answers {answer.code}: {' '.join(answer.text.split())[:500]}"
        )
    else:
        output.note(f"no daemon answers on {base_url(settings)}: {answer.text}")
    return EXIT_FAILURE
