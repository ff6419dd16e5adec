"""``edge config`` as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli.main import edge
from edge.core.errors import EdgeError, SettingsError
from edge.core.settings.schema import Settings

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*words: str) -> str:
    result = CliRunner().invoke(edge, words, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text("[mqtt]\nhost = 'broker.lan'\npassword = 'hunter2'\n")
    return path


def test_show_tells_each_value_and_where_it_came_from(file, monkeypatch) -> None:
    monkeypatch.setenv("EDGE_MQTT__PORT", "1884")
    rows = {
        row["setting"]: row for row in json.loads(run("--config", str(file), "config", "show", "--json"))["settings"]
    }
    assert rows["mqtt.host"] == {"setting": "mqtt.host", "value": "broker.lan", "from": f"{file}:2"}
    assert rows["mqtt.port"] == {"setting": "mqtt.port", "value": 1884, "from": "environment EDGE_MQTT__PORT"}
    assert rows["cameras[0].source"]["from"] == "default"


def test_show_changed_leaves_the_defaults_out(file) -> None:
    lines = run("--config", str(file), "config", "show", "--changed").splitlines()
    assert [line.split()[0] for line in lines[4:]] == ["mqtt.host", "mqtt.password"]


def test_show_covers_every_secret(file, monkeypatch) -> None:
    monkeypatch.setenv("EDGE_CAMERAS", '[{"source": "rtsp://user:hunter2@host/x"}]')
    monkeypatch.setenv("EDGE_API__KEYS", '{"AKID": "hunter2-hunter2-hunter2"}')
    for words in (["show"], ["show", "--json"]):
        output = run("--config", str(file), "config", *words)
        assert "hunter2" not in output
        assert "rtsp://***@host/x" in output


def test_show_without_a_file_says_so() -> None:
    assert run("config", "show").startswith("file   none: everything is at its default\n")


def test_check_takes_the_files_that_come_with_the_package() -> None:
    files = sorted((ROOT / "config").glob("*.toml"))
    assert len(files) >= 2
    for path in files:
        assert f"{path}: valid" in run("config", "check", str(path))


def test_check_without_a_file_takes_the_one_of_all_commands(file, monkeypatch) -> None:
    assert run("--config", str(file), "config", "check").startswith(f"{file}: valid")
    monkeypatch.setenv("EDGE_CONFIG", str(file))
    assert run("config", "check").startswith(f"{file}: valid")
    monkeypatch.delenv("EDGE_CONFIG")
    with pytest.raises(EdgeError, match="no configuration file to check"):
        CliRunner().invoke(edge, ["config", "check"], catch_exceptions=False)


def test_check_refuses_a_broken_file(tmp_path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text("[mqtt]\nhots = 'x'\n")
    with pytest.raises(SettingsError, match="hots: unknown setting"):
        CliRunner().invoke(edge, ["config", "check", str(path)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[[cameras]]\nsource = 'rstp://u:hunter2@host/x'\n",
            "source 'rstp://.*host/x': expected one that begins with rtsp",
        ),
        ("[[cameras]]\nname = 'door'\nsource = 'webcam'\n", "source 'webcam': expected one that begins with rtsp"),
        ("[api]\nenabled = true\nhost = '0.0.0.0'\n", "api.host is 0.0.0.0, and api.keys is empty"),
    ],
)
def test_check_refuses_what_the_daemon_would_not_begin_with(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=said) as refused:
        CliRunner().invoke(edge, ["config", "check", str(path)], catch_exceptions=False)
    assert "hunter2" not in str(refused.value)


def test_check_takes_an_open_endpoint_whose_keys_are_a_credential(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "edge.toml"
    path.write_text("[api]\nenabled = true\nhost = '0.0.0.0'\n")
    (tmp_path / "api-keys").write_text("AKID hunter2-hunter2-hunter2")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert f"{path}: valid" in run("config", "check", str(path))


def test_check_takes_a_source_whose_module_is_on_the_board_alone(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text("[[cameras]]\nname = 'a'\nsource = 'yours.module:Class:target'\n")
    assert f"{path}: valid; cameras a;" in run("config", "check", str(path))


def test_the_schema_names_every_setting_with_its_description() -> None:
    schema = json.loads(run("config", "schema"))
    assert schema["properties"].keys() == Settings.model_fields.keys()
    assert schema["$defs"]["MqttSettings"]["properties"]["port"]["maximum"] == 65535
    assert schema["$defs"]["MqttSettings"]["additionalProperties"] is False
