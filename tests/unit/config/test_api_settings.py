"""Settings of the API: names, origins, targets, and an address that others can reach."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from src.config import Settings, masked
from src.config.network import named_endpoints
from src.errors import ConfigError
from src.wiring.roles import API, everything

ANYWHERE = "0.0.0.0"  # noqa: S104 - that is what is refused
HOOK = "https://hooks.example.org/services/T0/B0/0123456789abcdef"


def make(**values: Any) -> Settings:
    return Settings(**values)


@pytest.mark.parametrize("host", [ANYWHERE, "::", "192.168.1.7", "market.example.org"])
def test_an_address_that_others_can_reach_needs_tokens(host: str) -> None:
    with pytest.raises(ConfigError, match="API_TOKENS_FILE"):
        make(api_host=host).check()
    make(api_host=host, api_tokens_file="tokens").check()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.10"])
def test_loopback_needs_none(host: str) -> None:
    make(api_host=host).check()


def test_all_serves_the_api() -> None:
    assert API in everything(make())


def test_names_of_hosts_are_lower_case_and_bare() -> None:
    assert make(api_allowed_hosts="Market.Example.org, nas").api_allowed_hosts == (
        "market.example.org",
        "nas",
    )


@pytest.mark.parametrize("value", ["https://a.example", "a.example:80", "a b", "*", "-a", "a..b", "x" * 300])
def test_another_text_is_no_name_of_a_host(value: str) -> None:
    with pytest.raises(ValidationError, match="is not a host name"):
        make(api_allowed_hosts=value)


@pytest.mark.parametrize(
    "value", ["*", "null", "https://a.example/", "https://a.example/x", "http://a.example", "a.example"]
)
def test_origins_are_sites_one_by_one(value: str) -> None:
    with pytest.raises(ValidationError):
        make(api_cors_origins=value)
    assert make(api_cors_origins="http://127.0.0.1:5173").api_cors_origins == ("http://127.0.0.1:5173",)


def test_targets_are_names_with_addresses_and_are_secret() -> None:
    settings = make(alert_targets=f"phone={HOOK}, desk=http://127.0.0.1:9/x?key=1")
    assert settings.alert_targets is not None
    assert named_endpoints(settings.alert_targets.get_secret_value()) == {
        "phone": HOOK,
        "desk": "http://127.0.0.1:9/x?key=1",
    }
    assert HOOK not in repr(settings)
    assert HOOK not in masked(settings)["ALERT_TARGETS"]


@pytest.mark.parametrize(
    "value",
    [
        HOOK,
        f"Phone={HOOK}",
        f"phone={HOOK},phone={HOOK}",
        "phone=http://hooks.example.org/x",
        "phone=ftp://x/y",
    ],
)
def test_a_target_that_is_wrong_is_refused_without_its_address(value: str) -> None:
    with pytest.raises(ValidationError) as raised:
        make(alert_targets=value)
    assert "0123456789abcdef" not in str(raised.value)
