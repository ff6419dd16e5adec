"""What the README says is so: commands, settings, topics, the event, the links, the output it shows."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edge.cli.listen import line
from edge.cli.main import COMMANDS, edge
from edge.core.settings.schema import Settings
from edge.core.types import Queued
from edge.mqtt import messages, topics

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EVENT_LINE = re.compile(r"\d\d:\d\d:\d\d\.\d{3}  quickstart  demo  (new|update|end) +face  (\S+) +(-|\d\.\d\d)( +\S+)?")


def commands() -> Iterator[list[str]]:
    def walk(command: click.Command, words: list[str]) -> Iterator[list[str]]:
        yield words
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                yield from walk(inner, [*words, name])

    return walk(edge, [])


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_in_the_table_of_the_readme(name) -> None:
    assert re.search(rf"^\| `edge {name}[ `]", README, re.MULTILINE)


def test_the_readme_names_no_command_that_does_not_exist() -> None:
    assert set(re.findall(r"`edge ([a-z]+)", README)) <= COMMANDS.keys()
    for row in re.findall(r"^\| `edge ([a-z]+) ([a-z/]+/[a-z/]+)`", README, re.MULTILINE):
        group = edge.get_command(click.Context(edge), row[0])
        assert isinstance(group, click.Group)
        assert set(row[1].split("/")) <= set(group.list_commands(click.Context(group)))


def test_the_help_of_every_command_ends_in_an_example_that_keeps_its_lines() -> None:
    for words in commands():
        result = CliRunner().invoke(edge, [*words, "--help"], prog_name="edge")
        assert result.exit_code == 0, words
        example = result.output.partition("\n  Example:\n")[2]
        assert re.match(r"( {4}.*\n)+", example), f"edge {' '.join(words)} has no example"
        assert "\\b" not in result.output, words


def test_every_command_that_answers_takes_json() -> None:
    silent = {"run", "analyze"}  # events as JSON lines are what they print
    for words in commands():
        command: click.Command = edge
        for word in words:
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), word) or command
        if not isinstance(command, click.Group) and words[0] not in silent:
            assert "--json" in [name for option in command.params for name in option.opts], words


def test_the_topics_of_the_readme_are_the_ones_of_the_code() -> None:
    shown = re.findall(r"^\| `((?:up|down)/[^`]+)` \|", README, re.MULTILINE)
    assert len(shown) >= 8
    for topic in shown:
        address = topics.parse(f"{topics.ROOT}/porch/{re.sub('<[a-z]+>', 'name', topic)}")
        assert address.kind in topics.HALVES[address.half]


def test_the_event_of_the_readme_is_an_event() -> None:
    (text,) = blocks("json")
    event = messages.parse(messages.WireEvent, text.encode())
    assert event.identity.subject == "alice"
    written = json.loads(messages.event_json("porch", _queued(event)))
    assert json.loads(text).keys() <= written.keys(), "a field of the README that no event has"
    assert json.loads(text)["identity"].keys() == written["identity"].keys()


def _queued(event: messages.WireEvent) -> Queued:
    return Queued(position=1, epoch=event.epoch, seq=event.seq, after=0, event=event.event)


def test_the_output_of_the_readme_has_the_form_that_listen_prints() -> None:
    (text,) = [block for block in blocks("") if "subjects recognized" in block]
    shown = [row for row in text.splitlines() if not row.startswith(("quickstart:", "  "))]
    assert len(shown) >= 4
    assert [row for row in shown if not EVENT_LINE.fullmatch(row)] == []
    assert f"quickstart: {len(shown)} events, 2 subjects recognized" in text
    (example,) = blocks("json")
    event = messages.parse(messages.WireEvent, example.encode())
    renamed = line(event).replace("porch  door", "quickstart  demo")
    assert EVENT_LINE.fullmatch(renamed)


def test_the_five_lines_of_the_readme_are_the_file_that_is_shipped() -> None:
    (text,) = blocks("toml")
    file = (ROOT / "config" / "pi-camera.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text) == tomllib.loads(file)
    assert len(text.splitlines()) == 5
    assert Settings.model_validate(tomllib.loads(text)).cameras[0].source == "picamera2"


def test_the_settings_for_a_small_board_hold_and_ask_for_less_than_the_usual_ones() -> None:
    file = tomllib.loads((ROOT / "config" / "pi-zero-2.toml").read_text(encoding="utf-8"))
    small, usual = Settings.model_validate(file), Settings()
    (camera,), (usually,) = small.cameras, usual.cameras
    assert camera.fps < usually.fps
    assert camera.width * camera.height < usually.width * usually.height / 2
    assert camera.width % 32 == camera.height % 16 == 0  # what the camera's hardware scales without padding
    assert small.recognition.budget < usual.recognition.budget
    assert small.outbox.commit_seconds > usual.outbox.commit_seconds


def test_every_relative_link_of_the_documents_leads_somewhere() -> None:
    for document in [ROOT / "README.md", *ROOT.glob("models/**/*.md"), *ROOT.glob("edge/data/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_script_of_the_readme_exists_and_can_be_run() -> None:
    names = set(re.findall(r"scripts/([a-z_0-9]+)", README))
    assert {"quickstart", "test", "check"} <= names
    for name in names:
        path = ROOT / "scripts" / name
        assert path.exists(), name
        assert path.is_dir() or path.stat().st_mode & 0o111, name
