"""The settings file that answers make, and how little of an older one they touch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.cli.setup import file
from edge.cli.setup.answers import Answers
from edge.core.compat import tomllib
from edge.core.errors import SettingsError
from edge.core.settings import loader

OLD = """\
# my porch
[device]
name = "porch"     # kept

[mqtt]
host = "old.lan"   # the broker in the cellar
username = "edge"

[[cameras]]
name = "door"
fps = 2.0          # slow board
source = "auto"
"""


def test_a_new_file_is_valid_and_describes_each_key(tmp_path: Path) -> None:
    answers = Answers(name="porch", broker="broker.lan", homeassistant=True, cameras={"door": "auto"}, page="local")
    text = file.changed("", answers.values())
    loader.check_text(text, tmp_path / "edge.toml")

    assert tomllib.loads(text) == {
        "device": {"name": "porch"}, "mqtt": {"host": "broker.lan"}, "homeassistant": {"enabled": True},
        "api": {"enabled": True, "host": "127.0.0.1"}, "cameras": [{"name": "door", "source": "auto"}],
    }  # fmt: skip
    keys = [number for number, line in enumerate(text.splitlines()) if " = " in line and not line.startswith("#")]
    assert len(keys) == 7
    assert all(text.splitlines()[number - 1].startswith("#") for number in keys)


def test_an_older_file_keeps_comments_order_and_other_settings() -> None:
    values = Answers(broker="new.lan", page="off", cameras={"door": "v4l2:/dev/video0", "yard": "auto"}).values()
    text = file.changed(OLD, values)

    kept = [line for line in OLD.splitlines() if "old.lan" not in line and 'source = "auto"' not in line]
    assert [line for line in text.splitlines() if line in kept][: len(kept)] == kept
    assert 'host = "new.lan"   # the broker in the cellar' in text
    assert tomllib.loads(text) == {
        "device": {"name": "porch"}, "mqtt": {"host": "new.lan", "username": "edge"}, "api": {"enabled": False},
        "cameras": [
            {"name": "door", "fps": 2.0, "source": "v4l2:/dev/video0"}, {"name": "yard", "source": "auto"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize("old", ['mqtt.host = "old.lan"\n', 'mqtt = { host = "old.lan" }\n', "mqtt.port = 1884\n"])
def test_sections_written_in_other_ways_are_changed_as_well(old: str) -> None:
    assert tomllib.loads(file.changed(old, {"mqtt": {"host": "new.lan"}}))["mqtt"]["host"] == "new.lan"


@pytest.mark.parametrize("old", ["cameras = [{ name = 'door' }]\n", "mqtt = 3\n", "mqtt = [\n"])
def test_what_cannot_be_changed_is_refused_with_a_hint(old: str) -> None:
    with pytest.raises(SettingsError) as told:
        file.changed(old, {"mqtt": {"host": "new.lan"}, "cameras": [{"name": "yard", "source": "auto"}]})
    assert told.value.hint == file.BY_HAND


def test_a_page_for_the_network_gets_secrets_that_the_loader_takes(tmp_path: Path, monkeypatch: Any) -> None:
    answers = Answers(page="network", password="hunter2 ")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for name, text in answers.secrets(has_keys=False, has_token=False).items():
        file.write(tmp_path / name, text + "\n")
    (tmp_path / "edge.toml").write_text(file.changed("", answers.values()))
    found = loader.read(tmp_path / "edge.toml")

    assert found.page.token.get_secret_value() == answers.token
    assert [len(key.get_secret_value()) >= 16 for key in found.api.keys.values()] == [True]
    assert (tmp_path / "page-token").stat().st_mode & 0o007 == 0
    assert answers.secrets(has_keys=True, has_token=True).keys() == {"mqtt-password"}


def test_the_command_that_goes_on_names_what_was_answered_and_no_password() -> None:
    answers = Answers(name="porch", broker="b.lan", username="edge", password="hunter2", cameras={"door": "auto"})
    assert answers.command(Path("my.toml")) == (
        "edge --config my.toml setup --name porch --broker b.lan --username edge --camera door=auto"
    )
