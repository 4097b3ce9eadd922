"""The command line. ``main`` is the console script; each subcommand imports what it needs when it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ..errors import EXIT_FAILURE, EXIT_OK, MarketdError
from .output import complain

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an expected error is lines on stderr, never a traceback."""
    from .app import application

    try:
        application()(args=argv, prog_name="marketd")
    except MarketdError as error:
        complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_FAILURE
    return EXIT_OK
