"""Settings of HTTP, gRPC, the live feed and alerts."""

from __future__ import annotations

from . import checks
from .analysis import AnalysisSettings
from .fields import setting


class ApiSettings(AnalysisSettings):
    """What ``--api`` and ``marketd serve`` answer on, to whom, and how much."""

    api_host: str = setting(
        "127.0.0.1",
        "The address of HTTP and gRPC. Another one than loopback needs API_TOKENS_FILE.",
        group="API",
        accepts="an IP address or host name",
        min_length=1,
    )
    api_port: int = setting(
        8000,
        "The port of HTTP: the API, the live feed and the pages. 0 takes a free one and logs it.",
        group="API",
        accepts="a whole number, 0 to 65535",
        ge=0,
        le=65535,
    )
    grpc_port: int = setting(
        50052,
        "The port of gRPC. 0 takes a free one and logs it.",
        group="API",
        accepts="a whole number, 0 to 65535",
        ge=0,
        le=65535,
    )
    api_tokens_file: str | None = setting(
        None,
        "Who may use the API: a file with one `name scope token` a line; the scope is read, task or admin, each of"
        " which holds the one before it. SIGHUP reads it again. Without it everybody on this machine may do all.",
        group="API",
        accepts="the path of a file; tokens have 256 bits: 64 hexadecimal digits, as `openssl rand -hex 32` gives, or"
        " 43 or more URL-safe characters",
    )
    api_allowed_hosts: checks.HostNames = setting(
        (),
        "Names under which HTTP may be called, besides localhost and IP addresses: a page elsewhere that gives its own"
        " name this machine's address is refused.",
        group="API",
        accepts="host names, comma-separated, such as market.example.org",
    )
    api_cors_origins: checks.Origins = setting(
        (),
        "Other sites whose pages may use the API and the live feed from a browser.",
        group="API",
        accepts="origins, comma-separated, such as https://charts.example.org",
    )
    api_requests_per_minute: int = setting(
        6000,
        "Requests that one address, and one token, may send in a minute; a sixth of them at once.",
        group="API",
        accepts="a whole number, 60 to 10000000",
        ge=60,
        le=10_000_000,
    )
    feed_clients: int = setting(
        512,
        "Listeners of the live feed at a time.",
        group="API",
        accepts="a whole number, 0 to 4096",
        ge=0,
        le=4096,
    )
    grpc_reflection: bool | None = setting(
        None,
        "Let gRPC clients read what services and messages there are (reflection). Default: on while API_HOST is"
        " loopback and nobody needs a token, else off; where it is on and there are tokens, it needs one.",
        group="API",
        accepts="on or off",
    )
    grpc_db_overrides: bool = setting(
        False,
        "Take db_overrides of the task ProcessPrices (gRPC's field, HTTP's parameter): settings of the task's own"
        " session in the database - statement_timeout, lock_timeout, work_mem, max_parallel_workers_per_gather -, never"
        " which database it is or who connects.",
        group="API",
        accepts="on or off",
    )
    alert_targets: checks.Targets | None = setting(
        None,
        "Where alerts are delivered: the API knows the names alone.",
        group="API",
        accepts="name=https://... pairs, comma-separated, or http:// on loopback",
    )
    alert_secret: checks.Token | None = setting(
        None,
        "What deliveries of alerts are signed with (HMAC-SHA256), so that a target knows who sent them.",
        group="API",
        accepts="16 characters or more, such as the output of `openssl rand -hex 32`",
    )
