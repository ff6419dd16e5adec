"""edge hub sealing: keys of devices are made, listed and taken away."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.cli.main import edge
from edge.core.errors import InputError, NotFoundError
from edge.core.settings.loader import read

Hub = Callable[..., Result]


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    (tmp_path / "edge.toml").write_text(f'[hub]\nrepository = "{tmp_path / "hub"}"\n')

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(edge, ["--config", str(tmp_path / "edge.toml"), "hub", *arguments])

    assert "edge hub sealing key DEVICE" in run("init").output
    return run


def test_the_line_for_a_device_goes_into_its_settings_as_it_is(hub: Hub, tmp_path: Path) -> None:
    line = hub("sealing", "key", "porch").output
    (tmp_path / "porch.toml").write_text(line)
    made = json.loads(hub("sealing", "key", "porch", "--json").output)["key"]
    assert read(tmp_path / "porch.toml").sync.key.get_secret_value() == made


def test_devices_and_keys_are_listed_without_a_secret(hub: Hub) -> None:
    secret = json.loads(hub("sealing", "key", "porch", "--json").output)["key"]
    hub("sealing", "key", "hall")
    before = json.loads(hub("sealing", "list", "--json").output)
    assert (before["enabled"], before["devices"], len(before["keys"])) == (True, ["hall", "porch"], 1)
    assert "key revoked" in hub("sealing", "remove", "porch").output
    assert "is sealed with key" in hub("sealing", "rotate").output
    after = json.loads(hub("sealing", "list", "--json").output)
    assert after["devices"] == ["hall"]
    assert before["keys"][0] == after["keys"][2]
    assert secret not in hub("sealing", "list").output
    assert isinstance(hub("sealing", "remove", "porch").exception, NotFoundError)


def test_sealing_is_switched(hub: Hub) -> None:
    assert "readable by anyone with access to sync.url" in hub("sealing", "off").output
    assert "edge hub sealing on" in hub("sealing", "list").output
    assert json.loads(hub("sealing", "on", "--json").output) == {"enabled": True}


def test_a_name_that_no_device_can_have_is_refused(hub: Hub) -> None:
    assert isinstance(hub("sealing", "key", "Front Porch").exception, InputError)


def test_a_damaged_file_of_keys_is_told(hub: Hub, tmp_path: Path) -> None:
    for damage in ("", "{}", "[]", '{"format": 1'):
        (tmp_path / "hub/keys/online/fleet.json").write_text(damage)
        error = hub("sealing", "list").exception
        assert isinstance(error, InputError)
        assert "restore it from a backup" in error.hint
