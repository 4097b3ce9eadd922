"""The daemon is served before others where the system lets it, and goes on as it is where not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

_NOBODY = 65_534


def _told(before: str = "pass") -> int:
    script = f"import os; from src.cli.daemon import go_first; {before}; print(go_first())"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may ask for more than its share")
def test_root_is_served_first() -> None:
    assert _told() == min(-5, os.nice(0))


def test_who_may_not_goes_on_as_before() -> None:
    root = os.geteuid() == 0
    assert _told(f"os.setuid({_NOBODY})" if root else "pass") == os.nice(0)


_GROUP = Path("/proc/self/autogroup")


@pytest.mark.skipif(
    os.geteuid() != 0 or not _GROUP.exists(), reason="needs root and Linux that groups processes by session"
)
@pytest.mark.parametrize(("alone", "expected"), [(True, "-5"), (False, "0")])
def test_the_session_that_a_daemon_leads_is_served_first_too(alone: bool, expected: str) -> None:
    """Beside a database in a session of its own, the niceness of a process alone counts for nothing."""
    script = f"from src.cli.daemon import go_first; go_first(); print(open({str(_GROUP)!r}).read())"
    command = [sys.executable, "-c", script]
    if not alone:
        # The shell leads the session here: it may hold what else a person runs.
        command = ["setsid", "--wait", "sh", "-c", '"$0" "$@"; exit $?', *command]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, start_new_session=alone
    )
    assert done.stdout.split()[-1] == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a mount of its own")
def test_a_proc_that_cannot_be_written_is_no_obstacle() -> None:
    """Containers mount /proc read-only, and the kernel answers EAGAIN to some."""
    script = "from src.cli.daemon import go_first; print(go_first())"
    # "bind", or the whole machine's would be read-only from here on.
    mounted = 'mount -o remount,bind,ro /proc && exec "$0" "$@"'
    command = ["unshare", "--mount", "sh", "-c", mounted, sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, start_new_session=True
    )
    assert int(done.stdout) == min(-5, os.nice(0))
