"""Where the page is found, by what it listens on."""

from __future__ import annotations

from typing import Any

import pytest

from edge.core.settings.schema import Settings
from edge.core.system import page_address


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "pi.example.org")


@pytest.mark.parametrize(
    ("api", "page", "address"),
    [
        ({"enabled": False}, {}, ""),
        ({}, {"enabled": False}, ""),
        ({}, {}, "http://127.0.0.1:8480/"),
        ({"host": "::1", "port": 80}, {}, "http://[::1]:80/"),
        ({"host": "0.0.0.0"}, {}, "http://pi.local:8480/"),
        ({"host": "::"}, {"hosts": ["porch.example.org"]}, "http://porch.example.org:8480/"),
        ({"host": "192.0.2.7"}, {}, "http://192.0.2.7:8480/"),
        ({"port": 0}, {}, ""),
    ],
)
def test_the_address_that_people_are_told(api: dict[str, Any], page: dict[str, Any], address: str) -> None:
    settings = Settings.model_validate({"api": {"enabled": True, **api}, "page": page})
    assert page_address.shown(settings) == address
