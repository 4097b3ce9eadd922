"""Asks the daemon on this machine over HTTP; never through a proxy."""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass

from ...config import Settings
from ...config.network import connectable


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; code 0 means that nobody answered, and the text says why."""

    code: int
    text: str

    @property
    def ok(self) -> bool:
        return self.code == 200


def base_url(settings: Settings) -> str:
    """Where this configuration's daemon answers."""
    host = connectable(settings.metrics_host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.metrics_port}"


def ask(settings: Settings, path: str, *, timeout: float = 5.0) -> Answer:
    """GET one of /metrics, /healthz, /readyz; an HTTP error is an answer too."""
    request = urllib.request.Request(base_url(settings) + path)  # noqa: S310 - the scheme is http
    if settings.metrics_token is not None:
        request.add_header("Authorization", f"Bearer {settings.metrics_token.get_secret_value()}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as response:
            return Answer(response.status, response.read().decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read().decode("utf-8", "replace"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Answer(0, str(getattr(reason, "strerror", None) or reason or type(error).__name__))
