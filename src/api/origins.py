"""Under which names we are called, and from whose pages: against DNS rebinding and requests forged by a browser."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from .problems import problem

_PREFLIGHT_S = 600


class Origins:
    """``hosts`` are our names besides localhost and addresses, ``allowed`` other sites whose pages may use us."""

    def __init__(self, hosts: Collection[str], allowed: Collection[str]) -> None:
        self._hosts = frozenset(hosts)
        self._allowed = frozenset(allowed)

    def check_host(self, values: Collection[str]) -> str:
        """The one ``Host``. Raises ``ProblemError`` where it is missing, given twice, or not one of ours.

        An address is always ours: a page that was loaded under another name cannot claim it.
        """
        if len(values) != 1:
            raise problem(400, detail="give one Host header")
        (host,) = values
        name = _name(host)
        if name != "localhost" and name not in self._hosts and not _is_address(name):
            raise problem(421, detail="not known under this name; API_ALLOWED_HOSTS lists those that are")
        return host

    def check_origin(self, origin: str | None, host: str) -> bool:
        """Whether the page is another site's, which is allowed to. Raises ``ProblemError`` 403 where it is not."""
        if origin is None or urlsplit(origin).netloc.lower() == host.lower():
            return False
        if origin.lower() not in self._allowed:
            raise problem(
                403, detail="pages of this origin may not use the API; API_CORS_ORIGINS lists those that may"
            )
        return True

    def preflight(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers of the answer to a browser that asks whether it may."""
        return {
            "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": str(_PREFLIGHT_S),
        }


def _name(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0][1:].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
