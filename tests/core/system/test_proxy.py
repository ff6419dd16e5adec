from __future__ import annotations

import pytest

from edge.core.system import proxy

HTTP = {"http_proxy": "proxy.lan:3128"}


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({}, "http://host/x", ""),
        (HTTP, "http://host/x", "http://proxy.lan:3128"),
        (HTTP, "https://host/x", ""),
        ({"HTTPS_PROXY": "https://p"}, "https://host", "https://p"),
        ({"https_proxy": "http://lower", "HTTPS_PROXY": "http://upper"}, "https://host", "http://lower"),
        ({"ALL_PROXY": "http://all"}, "https://host", "http://all"),
        ({"HTTP_PROXY": "http://header", "REQUEST_METHOD": "GET"}, "http://host", ""),
        (HTTP | {"no_proxy": "*"}, "http://host", ""),
        (HTTP | {"NO_PROXY": "host"}, "http://HOST/x", ""),
        (HTTP | {"no_proxy": "lan"}, "http://a.lan", ""),
        (HTTP | {"no_proxy": ".lan"}, "http://a.lan", ""),
        (HTTP | {"no_proxy": "*.lan"}, "http://a.b.lan", ""),
        (HTTP | {"no_proxy": "lan"}, "http://wlan", "http://proxy.lan:3128"),
        (HTTP | {"no_proxy": "a.lan:8080"}, "http://a.lan:8080", ""),
        (HTTP | {"no_proxy": "a.lan:8080"}, "http://a.lan", "http://proxy.lan:3128"),
        (HTTP | {"no_proxy": "other, 10.0.0.0/8"}, "http://10.1.2.3", ""),
        (HTTP | {"no_proxy": "10.1.2.3"}, "http://10.1.2.3:99", ""),
        (HTTP | {"no_proxy": "[::1]"}, "http://[::1]:99", ""),
        (HTTP | {"no_proxy": "10.0.0.0/8"}, "http://11.1.2.3", "http://proxy.lan:3128"),
        (HTTP | {"no_proxy": "a b"}, "http://b", ""),
        (HTTP | {"no_proxy": "a;b"}, "http://b", ""),
        (HTTP | {"no_proxy": "192.168.1.*"}, "http://192.168.1.7", ""),
        (HTTP | {"no_proxy": "192.168.1.*"}, "http://192.168.10.7", "http://proxy.lan:3128"),
        (HTTP | {"no_proxy": "fd00::/8"}, "http://[fd00::5]:99", ""),
        (HTTP | {"no_proxy": "example.org."}, "http://example.org", ""),
        (HTTP | {"no_proxy": "münchen.example"}, "http://xn--mnchen-3ya.example", ""),
        (HTTP | {"no_proxy": "<local>"}, "http://nas", ""),
        (HTTP | {"no_proxy": "<local>"}, "http://nas.lan", "http://proxy.lan:3128"),
        (HTTP | {"no_proxy": "10.0.0.0/33"}, "http://10.1.1.1", "http://proxy.lan:3128"),
        ({"http_proxy": "'http://proxy.lan:3128'"}, "http://host", "http://proxy.lan:3128"),
    ],
)
def test_which_proxy(environment: dict[str, str], url: str, expected: str) -> None:
    assert proxy.proxy_for(url, environment) == expected


def test_which_authorities() -> None:
    assert proxy.ca_file({}) == ""
    assert proxy.ca_file({"REQUESTS_CA_BUNDLE": "/a.pem"}) == "/a.pem"
    assert proxy.ca_file({"REQUESTS_CA_BUNDLE": "/a.pem", "SSL_CERT_FILE": "/b.pem"}) == "/b.pem"
