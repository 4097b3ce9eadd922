"""F11, F12, F18, G8: what surrounds the process: output that nobody takes, a root that is read-only, no init."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.processes import ROOT
from tests.support.world import World

pytestmark = pytest.mark.fault

_INTO = ("sh", "-c", 'out=$1; shift; exec "$@" >"$out" 2>&1', "sh")
_READ_ONLY = f"""
mount --make-rprivate /
cut -d' ' -f5 /proc/self/mountinfo | sort -u | while read -r point; do
    case $point in /proc | /proc/* | /sys | /sys/*) continue ;; esac
    mount -o remount,bind,ro "$point"
done
mount -t tmpfs -o ro,size=4k tmpfs '{tempfile.gettempdir()}'
unset HOME TMPDIR
exec "$@"
"""


async def test_f11_the_logs_disk_is_full(world: World) -> None:
    """Every line fails from the first on, those of libraries and of ``print`` too."""
    world.daemon.enter = (*_INTO, "/dev/full")
    await world.begin()
    assert {_target(world, number) for number in (1, 2)} == {"/dev/full"}
    connections = await world.live_connections()
    lost = (await world.daemon.metrics()).total("log_lost_total")
    assert lost >= 1
    assert world.stream.reset_all() == connections
    await world.daemon.wait_metric("log_lost_total", lost + 1)
    await eventually(world.has_live_connections(connections), timeout=60)
    await world.live_rows(4)
    assert (await world.daemon.metrics()).total("supervisor_restarts_total") == 0
    await world.finish()


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    """A pipe's reader and writer; whoever closes one takes it out."""
    ends = list(os.pipe())
    yield ends
    for end in ends:
        os.close(end)


async def test_f12_who_read_the_log_is_gone(world: World, pipe: list[int]) -> None:
    """It ends while the daemon works: each line is lost and counted, and trying costs no time to speak of."""
    reader, writer = pipe
    world.daemon.enter = (*_INTO, f"/proc/{os.getpid()}/fd/{writer}")
    await world.begin()
    assert _target(world, 2).startswith("pipe:")
    assert b'"event":"starting"' in os.read(reader, 65_536)
    connections = await world.live_connections()
    lost = (await world.daemon.metrics()).total("log_lost_total")
    while pipe:
        os.close(pipe.pop())
    assert world.stream.reset_all() == connections
    seen = await world.daemon.wait_metric("log_lost_total", lost + 1)
    await eventually(world.has_live_connections(connections), timeout=60)
    await world.live_rows(4)
    later = await world.daemon.metrics()
    assert later.total("supervisor_restarts_total") == 0
    assert later.total("log_lost_total") - seen.total("log_lost_total") < 1000, "it tries again and again"
    await world.finish()


def _target(world: World, descriptor: int) -> str:
    return str(Path(f"/proc/{world.daemon.child.pid}/fd/{descriptor}").readlink())


@pytest.mark.root
async def test_f18_read_only_root_no_home_no_tmp(world: World) -> None:
    """Nothing can be written anywhere, not even a temporary file; its log was open before."""
    _need_namespaces("--mount")
    if any(Path(place).is_relative_to(tempfile.gettempdir()) for place in (ROOT, sys.prefix)):
        pytest.skip(f"this checkout lies below {tempfile.gettempdir()}, which the run hides")
    world.daemon.enter = ("unshare", "--mount", "sh", "-ec", _READ_ONLY, "sh")
    world.daemon.arguments += ("--api",)
    await world.begin()
    # Of two mounts on one place the later one covers the other.
    mounts = {fields[4]: fields[5] for fields in map(str.split, _proc(world, "mountinfo").splitlines())}
    writable = [place for place, options in mounts.items() if "ro" not in options.split(",")]
    assert [place for place in writable if not place.startswith(("/proc", "/sys"))] == []
    assert {"/", tempfile.gettempdir()} <= mounts.keys()
    names = {pair.partition("=")[0] for pair in _proc(world, "environ").split("\0")}
    assert names & {"HOME", "TMPDIR"} == set()
    await world.live_rows(5)
    assert (await world.daemon.metrics()).total("supervisor_restarts_total") == 0
    await world.finish()


@pytest.mark.root
async def test_g8_process_1_without_an_init(world: World) -> None:
    """As an image without tini would run it: the kernel keeps signals without a handler from process 1."""
    _need_namespaces("--pid", "--mount-proc")
    world.daemon.enter = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    world.daemon.waits = True
    await world.begin()
    inside = re.search(r"^NSpid:.*\t(\d+)$", _proc(world, "status"), flags=re.MULTILINE)
    assert inside and inside[1] == "1"
    await world.live_rows(5)
    await world.finish()
    assert '"rows_left":0' in world.daemon.child.text()


def _proc(world: World, name: str) -> str:
    return Path(f"/proc/{world.daemon.child.pid}/{name}").read_text(encoding="utf-8")


def _need_namespaces(*kinds: str) -> None:
    probe = subprocess.run(["unshare", *kinds, "--fork", "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"needs namespaces of its own: {probe.stderr.strip()}")
