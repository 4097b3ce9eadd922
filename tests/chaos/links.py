"""Faults of the three networks: to REST, to the stream, to the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.chaosproxy import ChaosProxy, Path

from .ground import Act, Fault, Ground, nothing
from .schedule import Arguments

LINKS = ("rest", "stream", "database")
_WAYS: tuple[tuple[str, ...], ...] = (("up",), ("down",), ("up", "down"))


def faults_of(link: str) -> tuple[Fault, ...]:
    """What can happen to one link: the name of a ``ChaosProxy`` of ``World``."""
    more = (Fault("reply_cut", nothing, _on(link, _cut_reply)),) if link == "database" else ()
    return (
        Fault("latency", lambda dice: {"seconds": round(dice.uniform(0.05, 2.0), 2)}, _on(link, _latency)),
        Fault("throttled", lambda dice: {"rate": dice.choice((2e3, 1e4, 5e4))}, _on(link, _throttled)),
        Fault("sliced", lambda dice: {"slice": dice.choice((1, 7, 100))}, _on(link, _sliced)),
        Fault("cut", lambda dice: {"limit": dice.choice((10, 1000, 20_000))}, _on(link, _cut)),
        Fault("stalled", lambda dice: {"ways": dice.choice(_WAYS)}, _on(link, _stalled)),
        Fault(
            "blackhole",
            lambda dice: {"ways": dice.choice(_WAYS), "ghosts": dice.random() < 0.5},
            _on(link, _blackhole, _forget),
        ),
        Fault("refused", lambda dice: {"reset": dice.random() < 0.7}, _refused(link)),
        Fault("fin", nothing, _on(link, lambda proxy, _: _ignored(proxy.close_all()))),
        Fault("rst", nothing, _on(link, lambda proxy, _: _ignored(proxy.reset_all()))),
        *more,
    )


Spoil = Callable[[ChaosProxy, Arguments], None]


def _on(link: str, spoil: Spoil, after: Spoil | None = None) -> Act:
    async def act(ground: Ground, seconds: float, arguments: Arguments) -> None:
        proxy: ChaosProxy = getattr(ground.world, link)
        spoil(proxy, arguments)
        try:
            await asyncio.sleep(seconds)
        finally:
            if after is not None:
                after(proxy, arguments)
            proxy.heal()

    return act


def _refused(link: str) -> Act:
    async def act(ground: Ground, seconds: float, arguments: Arguments) -> None:
        proxy: ChaosProxy = getattr(ground.world, link)
        await proxy.refuse()
        if arguments["reset"]:
            proxy.reset_all()
        try:
            await asyncio.sleep(seconds)
        finally:
            await proxy.listen()

    return act


def _latency(proxy: ChaosProxy, arguments: Arguments) -> None:
    proxy.up.latency = proxy.down.latency = arguments["seconds"]


def _throttled(proxy: ChaosProxy, arguments: Arguments) -> None:
    proxy.up.rate = proxy.down.rate = arguments["rate"]


def _sliced(proxy: ChaosProxy, arguments: Arguments) -> None:
    proxy.up.slice = proxy.down.slice = arguments["slice"]


def _cut(proxy: ChaosProxy, arguments: Arguments) -> None:
    proxy.up.limit, proxy.down.limit = arguments["limit"], 10 * arguments["limit"]


def _stalled(proxy: ChaosProxy, arguments: Arguments) -> None:
    for path in _paths(proxy, arguments):
        path.stall()


def _blackhole(proxy: ChaosProxy, arguments: Arguments) -> None:
    for path in _paths(proxy, arguments):
        path.blackhole, path.ghosts = True, arguments["ghosts"]


def _forget(proxy: ChaosProxy, _: Arguments) -> None:
    """A link that lost bytes cannot go on as if nothing had been: TCP never leaves anything out. Ghosts stay."""
    proxy.reset_all(but_ghosts=True)


def _cut_reply(proxy: ChaosProxy, _: Arguments) -> None:
    proxy.cut_reply_after(b"COMMIT", of=b"marketd/ws/")


def _paths(proxy: ChaosProxy, arguments: Arguments) -> list[Path]:
    return [getattr(proxy, way) for way in arguments["ways"]]


def _ignored(_: int) -> None:
    """How many connections there were does not matter; the proxy counts them."""
