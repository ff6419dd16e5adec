"""``edge setup`` at a real pseudo-terminal, and without one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from rigs.terminal import Terminal

from edge.cli.main import edge
from edge.core.compat import tomllib
from edge.core.errors import ConflictError, SettingsError

ROOT = Path(__file__).resolve().parents[2]
OLD = '# mine\n[device]\nname = "porch"\n'
SETUP = (sys.executable, "-m", "edge", "setup")


@pytest.fixture
def rest(tmp_path: Path) -> Path:
    """A command that stands for edge where setup calls it again, and writes down how."""
    command = tmp_path / "edge-command"
    command.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/called\n')
    command.chmod(0o755)
    return command


@pytest.fixture
def at_terminal(tmp_path: Path, rest: Path) -> Callable[..., Terminal]:
    def start(*words: str, whole: bool = False) -> Terminal:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "TERM": "dumb"}
        environment |= {"XDG_STATE_HOME": str(tmp_path / "state"), **({} if whole else {"EDGE_COMMAND": str(rest)})}
        return Terminal([*SETUP, *words], tmp_path, environment)

    return start


def called(folder: Path) -> list[str]:
    return (folder / "called").read_text().splitlines() if (folder / "called").exists() else []


def test_a_person_at_a_terminal_gets_a_commented_file_and_the_doctors_word(
    tmp_path: Path, at_terminal: Callable[..., Terminal]
) -> None:
    with at_terminal(whole=True) as terminal:
        terminal.answer("Name of this device", "Front Door")
        terminal.answer("Name of this device", "porch")
        terminal.answer("MQTT broker")
        terminal.answer("Name of the camera", "door")
        terminal.answer("Its source", "gopher://nowhere")
        terminal.answer("Its source", "synthetic:")
        terminal.answer("The page", "off")
        terminal.answer("Pictures of people", "nowhere/")
        terminal.answer("Pictures of people")
        terminal.answer("Write it")
        terminal.expect("edge.toml is written")
        terminal.expect("door delivers 1280 x 720")
        assert terminal.end() in (0, 1)

    text = (tmp_path / "edge.toml").read_text()
    assert "# Name in topics: letters, digits, '_' and '-'.\nname = \"door\"" in text
    assert tomllib.loads(text) == {
        "device": {"name": "porch"}, "api": {"enabled": False}, "cameras": [{"name": "door", "source": "synthetic:"}],
    }  # fmt: skip
    assert "expected 1 to 63 of a-z" in terminal.output
    assert "expected one that begins with" in terminal.output


def test_a_file_that_is_there_is_changed_only_when_its_owner_agrees(
    tmp_path: Path, at_terminal: Callable[..., Terminal]
) -> None:
    (tmp_path / "mine.toml").write_text(OLD)
    words = ("--config", "mine.toml", "--page", "off", "--enroll", str(tmp_path / "mine.toml"), "--subject", "alice")
    with at_terminal(*words) as terminal:
        terminal.answer("mine.toml exists. Change it?", "n")
        assert terminal.end() == 130
    assert (tmp_path / "mine.toml").read_text() == OLD

    with at_terminal(*words) as terminal:
        terminal.answer("mine.toml exists. Change it?", "y")
        terminal.answer("Name of this device")
        terminal.answer("MQTT broker", "broker.lan")
        terminal.answer("User name at the broker", "edge")
        terminal.answer("Password of edge", "hunter2")
        terminal.answer("Announce to Home Assistant")
        terminal.answer("Name of the camera", "door")
        terminal.answer("Its source")
        terminal.answer("Write it", "y")
        assert terminal.end() == 0

    text = (tmp_path / "mine.toml").read_text()
    assert text.startswith("# mine\n")
    assert tomllib.loads(text)["mqtt"] == {"host": "broker.lan", "username": "edge", "password": "hunter2"}
    assert "hunter2" not in terminal.output
    assert called(tmp_path) == [
        f"--config mine.toml enroll faces {tmp_path}/mine.toml --subject alice", "--config mine.toml doctor",
    ]  # fmt: skip


@pytest.mark.parametrize("answered", [0, 2, 5])
def test_ctrl_c_at_a_question_changes_nothing_and_says_how_to_go_on(
    tmp_path: Path, at_terminal: Callable[..., Terminal], answered: int
) -> None:
    (tmp_path / "edge.toml").write_text(OLD)
    questions = [
        ("Change it?", "y"), ("Name of this device", ""), ("MQTT broker", ""), ("Name of the camera", "door"),
        ("Its source", "auto"), ("The page", "local"),
    ]  # fmt: skip
    with at_terminal("--config", "edge.toml") as terminal:
        for question, text in questions[:answered]:
            terminal.answer(question, text)
        terminal.expect(questions[answered][0])
        terminal.interrupt("nothing was written")
        assert terminal.end() == 130

    assert (tmp_path / "edge.toml").read_text() == OLD
    assert "nothing was written. To go on: edge --config edge.toml setup" in terminal.output
    assert ("--name porch" in terminal.output) == (answered >= 2)
    assert ("--camera door=auto" in terminal.output) == (answered >= 5)
    assert called(tmp_path) == []


def test_without_a_terminal_options_answer_and_an_older_file_needs_yes(
    tmp_path: Path, rest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGE_COMMAND", str(rest))
    words = [
        "--config",
        "edge.toml",
        "setup",
        "--name",
        "porch",
        "--broker",
        "mqtts://broker.lan",
        "--password-file",
        "-",
    ]
    done = CliRunner().invoke(edge, words, input="hunter2\n", catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert tomllib.loads(Path("edge.toml").read_text()) == {
        "device": {"name": "porch"}, "mqtt": {"host": "mqtts://broker.lan", "password": "hunter2"},
    }  # fmt: skip
    assert Path("edge.toml").stat().st_mode & 0o007 == 0

    again = ["--config", "edge.toml", "setup", "--camera", "door=auto"]
    with pytest.raises(ConflictError, match="exists already"):
        CliRunner().invoke(edge, again, catch_exceptions=False)
    assert CliRunner().invoke(edge, [*again, "--yes"], catch_exceptions=False).exit_code == 0
    assert tomllib.loads(Path("edge.toml").read_text())["cameras"] == [{"name": "door", "source": "auto"}]
    assert called(tmp_path) == ["--config edge.toml doctor"] * 2


def test_an_option_that_breaks_a_rule_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"device\.name"):
        CliRunner().invoke(edge, ["--config", "e.toml", "setup", "--name", "Front Door"], catch_exceptions=False)
    assert CliRunner().invoke(edge, ["--config", "e.toml", "setup", "--camera", "door"]).exit_code == 2
    assert list(tmp_path.iterdir()) == []
