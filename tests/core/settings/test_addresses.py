"""Addresses of brokers and servers that are none are refused where they are set, in words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edge.core.settings.schema import Settings


@pytest.mark.parametrize(
    "host", ["wss://broker.lan:443/mqtt", "broker lan", "<broker>", '"broker.lan"', "broker.lan/x"]
)
def test_a_broker_that_is_no_name_and_no_address(host: str) -> None:
    with pytest.raises(ValidationError, match=r"mqtts://broker\.lan:8883"):
        Settings.model_validate({"mqtt": {"host": host}})


@pytest.mark.parametrize("host", ["brokér.lan", "HOMEASSISTANT", "2001:db8::1", "core-mosquitto", " broker.lan "])
def test_a_broker_that_is_one(host: str) -> None:
    assert Settings.model_validate({"mqtt": {"host": host}}).mqtt.host == host.strip()


@pytest.mark.parametrize(
    ("host", "port"), [("b2.lan", 1884), ("b2.lan:1999", 1999), ("[2001:db8::2]:77", 77), ("2001:db8::2", 1884)]
)
def test_a_further_broker_has_the_port_of_the_first_unless_it_names_one(host: str, port: int) -> None:
    chosen = Settings.model_validate({"mqtt": {"host": "b1.lan", "port": 1884, "fallback_hosts": [host]}}).mqtt
    assert chosen.addresses == (("b1.lan", 1884), (host.removesuffix(f":{port}").strip("[]"), port))


@pytest.mark.parametrize(
    "host", ["", "user@b2.lan", "b2.lan:0", "b2.lan:70000", "mqtt://b2.lan", "b 2.lan", "b2.lan/x"]
)
def test_a_further_broker_that_is_no_address(host: str) -> None:
    with pytest.raises(ValidationError, match=r"broker-2\.lan:1884"):
        Settings.model_validate({"mqtt": {"host": "b1.lan", "fallback_hosts": [host]}})


@pytest.mark.parametrize("url", ["https://h:99999/x", "https://h:port/x", "https://h:0", "https://[::1]:x/y"])
def test_a_release_server_with_a_port_that_is_none(url: str) -> None:
    with pytest.raises(ValidationError, match="port from 1 to 65535"):
        Settings.model_validate({"sync": {"url": url, "root": "root.json"}})


@pytest.mark.parametrize("url", ["https://[::1]:8443/x", "https://h/a:b", "https://h?x=a:b", "https://u:p@h:1/x"])
def test_a_release_server_that_is_one(url: str) -> None:
    assert Settings.model_validate({"sync": {"url": url, "root": "root.json"}}).sync.url.get_secret_value() == url
