"""Takes the port that settings name, before anything else of the daemon is opened."""

from __future__ import annotations

import errno
import socket

from ..errors import ConfigError

_BACKLOG = 64


class Listener:
    """A listening socket on ``host`` and ``port``; ``setting`` (``API``) names the settings ``API_HOST``, ``API_PORT``.

    Only listening makes a second taker of the port fail. No connection is accepted here.
    """

    def __init__(self, host: str, port: int, *, setting: str) -> None:
        self.host = host
        self._wanted = port
        self._setting = setting
        self._socket: socket.socket | None = None

    @property
    def is_taken(self) -> bool:
        return self._socket is not None

    @property
    def port(self) -> int:
        """The port that was taken; the one asked for before that."""
        return int(self._socket.getsockname()[1]) if self._socket is not None else self._wanted

    def take(self) -> socket.socket:
        """Take the port, once. Raises ``PortTaken`` if another program has it, else ``ConfigError``."""
        if self._socket is None:
            try:
                found = socket.getaddrinfo(
                    self.host, self._wanted, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
                )
                self._socket = _listen(found[0])
            except OSError as error:
                raise self._refusal(error) from error
        return self._socket

    def close(self) -> None:
        """Let go of the port."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _refusal(self, error: OSError) -> ConfigError:
        name, place = self._setting, f"{self._wanted} on {self.host}"
        if isinstance(error, socket.gaierror):
            return ConfigError(f"{name}_HOST: {self.host} is not an address: {error.strerror}")
        if error.errno == errno.EADDRINUSE:
            return PortTaken(
                f"{name}_PORT: port {place} is in use by another program; stop it or set another port"
            )
        if error.errno == errno.EADDRNOTAVAIL:
            return ConfigError(f"{name}_HOST: this machine has no address {self.host}")
        return ConfigError(f"{name}_PORT: port {place} cannot be taken: {error.strerror}")


class PortTaken(ConfigError):
    """Another program listens there."""


def _listen(found: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
    family, _, _, _, address = found
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
