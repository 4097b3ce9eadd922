"""Other machines: network namespaces, each with one cable to this one, which may be pulled out.

Only inside ``run_inside(..., "--net", prepare=PREPARE)``. There a machine is known by an address of 127.0.0.0/8 of its
own, and 127.0.0.1 is this machine for everybody: what is taken on loopback only (``http://``, any speed) goes over the
cable as it would over a network, and nothing stands in between that could see a dead link instead of us.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .cluster import Cluster

_ROUTED = "/proc/sys/net/ipv4/conf/all/route_localnet"
"""Whether 127.0.0.0/8 may leave and enter: a setting of each namespace."""
PREPARE = (
    "ip link set lo up",
    # Of the range only our own address is here; the others may lie behind a cable.
    "ip address delete 127.0.0.1/8 dev lo",
    "ip address add 127.0.0.1/32 dev lo",
    f"echo 1 > {_ROUTED}",
)
HBA_LINE = "host all all 127.0.0.0/8 scram-sha-256\n"
"""For pg_hba.conf of a server that shall take their connections; ours only takes those of 127.0.0.1."""
_numbers = itertools.count(2)


def machines_can_be_made() -> bool:
    """False where a container shows the kernel's settings read-only, even to root."""
    return os.access(_ROUTED, os.W_OK)


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine. ``enter`` is what a command begins with to run on it; this machine reaches it at ``address``."""

    address: str
    enter: tuple[str, ...]
    cable: str

    @property
    def settings(self) -> Mapping[str, str]:
        """Of a daemon on it: where it listens."""
        return {"METRICS_HOST": self.address, "API_HOST": self.address}

    async def pull_the_cable(self) -> None:
        """From now on not a packet goes in or out, and neither side is told."""
        await _run("ip", "link", "set", self.cable, "down")

    async def plug_it_in(self) -> None:
        await _run("ip", "link", "set", self.cable, "up")
        # The address stays, the way to it goes with the link.
        await _run("ip", "route", "replace", f"{self.address}/32", "dev", self.cable, "src", "127.0.0.1")


@asynccontextmanager
async def machine() -> AsyncIterator[Machine]:
    """A machine that is connected; it is gone at the end, what runs on it must have ended before."""
    number = next(_numbers)
    address, cable = f"127.0.0.{number}", f"cable{number}"
    keeper = await asyncio.create_subprocess_exec("unshare", "--net", "sh", "-c", "echo here; read _",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)  # fmt: skip
    try:
        assert keeper.stdout is not None
        assert await keeper.stdout.readline() == b"here\n"
        enter = ("nsenter", f"--net=/proc/{keeper.pid}/ns/net")
        await _run(
            "ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", str(keeper.pid)
        )
        await _run(*enter, "ip", "link", "set", "lo", "up")
        await _run(*enter, "ip", "address", "delete", "127.0.0.1/8", "dev", "lo")
        await _run(*enter, "sh", "-c", f"echo 1 > {_ROUTED}")
        await _run(*enter, "ip", "link", "set", "eth0", "up")
        await _run(*enter, "ip", "address", "add", f"{address}/32", "dev", "eth0")
        await _run(*enter, "ip", "route", "add", "127.0.0.1/32", "dev", "eth0", "src", address)
        made = Machine(address, enter, cable)
        await made.plug_it_in()
        yield made
    finally:
        keeper.kill()
        await keeper.wait()


async def let_machines_in(cluster: Cluster) -> None:
    """The server takes the connections of machines."""
    rules = cluster.folder / "data" / "pg_hba.conf"
    with rules.open("a", encoding="utf-8") as file:
        file.write(HBA_LINE)
    await asyncio.to_thread(cluster.restart)


async def _run(*command: str) -> None:
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
