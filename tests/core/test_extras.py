"""What an installation without an extra says where the extra is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.core import plugins as extras
from edge.core.compat import tomllib
from edge.core.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("extra", sorted(extras.EXTRAS))
def test_what_an_extra_is_known_by_is_what_it_brings(extra: str) -> None:
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    brought = " ".join(offered[extra] + (offered["sync"] if "rekognition-edge[sync]" in offered[extra] else []))
    for package in extras.EXTRAS[extra]:
        assert package.replace("_", "-") in brought.replace("_", "-")


def test_a_package_that_is_missing_is_named_with_the_command_that_brings_it(monkeypatch) -> None:
    monkeypatch.setitem(extras.EXTRAS, "api", ("json", "absent_package"))
    with pytest.raises(SettingsError) as caught:
        extras.want("api", "the endpoint needs")
    assert caught.value.message == "the endpoint needs the package absent_package"
    assert caught.value.hint == "pip install 'rekognition-edge[api]'"


def test_what_is_there_is_not_spoken_of() -> None:
    extras.want("api", "the endpoint needs")
