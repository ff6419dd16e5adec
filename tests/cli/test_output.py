"""What devices, servers and pictures say never acts on a terminal."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import edge.cli
from edge.cli import output
from edge.cli.main import edge as command
from edge.core.terminal import plain
from edge.hub import databases
from edge.hub.store import Document, EventStore
from edge.mqtt.messages import Info, Reported, to_json

NASTY = "\x1b]0;owned\x07\r\nfaked line\x9b2J\u202egnp\u2066\u200fx\u2028y"
COMMANDS = [["hub", "status"], ["hub", "status", "--json"]]


def assert_harmless(text: str) -> None:
    for character in NASTY:
        assert character.isprintable() or character not in text.replace("\n", ""), repr(character)
    assert "\nfaked" not in text


def test_controls_and_marks_of_direction_are_escaped() -> None:
    assert_harmless(plain(NASTY))
    assert plain("Zoë O'Hara \N{FAMILY} 山田") == "Zoë O'Hara \N{FAMILY} 山田"


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_what_a_device_reports(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_STATE", str(tmp_path))
    database = databases.connect("", tmp_path)
    info = Info(device="porch", version=NASTY, session=1, release=NASTY, cameras=(NASTY,))
    reported = Reported(NASTY, "failed", NASTY, error=NASTY)
    documents = [Document("porch", "info", to_json(info).decode(), 1.79e9)]
    documents.append(Document("porch", "reported", to_json(reported).decode(), 1.79e9))
    EventStore(database).add([], documents)
    database.close()
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    assert_harmless(done.output)
    if "--json" in arguments:
        assert json.loads(done.output)[0]["version"] == NASTY


def test_tables_lines_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(["name"], [(NASTY,)])
    output.say(NASTY)
    output.print_json({"name": NASTY})
    told = capsys.readouterr().out
    assert_harmless(told)
    assert json.loads(told.splitlines()[-1])["name"] == NASTY


def test_commands_of_the_fleet_print_through_the_output_module() -> None:
    """``click.echo`` with a value in it is for values of our own; these modules print what others say."""
    for name in ("hub_rollout", "hub_enrolments", "hub_command", "strangers", "review"):
        tree = ast.parse((Path(edge.cli.__file__).parent / f"{name}.py").read_text())
        calls = [
            node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "click.echo"
        ]
        told = [ast.unparse(call) for call in calls if any(isinstance(arg, ast.JoinedStr) for arg in call.args)]
        assert all("KEYS" in call or "enrolments_key" in call for call in told), (name, told)
