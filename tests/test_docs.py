"""What the documentation says is so, on every page: commands, settings, topics, examples, links, output."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edge.cli.listen import line
from edge.cli.main import COMMANDS, edge
from edge.core.compat import tomllib
from edge.core.settings.schema import Settings
from edge.core.types import Queued
from edge.mqtt import messages, topics

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FOLDERS = ("config", "edge", "models", "scripts", "systemd", "tests", ".github")
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *(page for folder in FOLDERS for page in sorted((ROOT / folder).rglob("*.md")))]
    if not path.name.startswith("PROVENANCE")
}
"""path -> text of every page"""
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


def blocks(language: str, page: str = README) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_in_the_table_of_the_readme(name) -> None:
    assert re.search(rf"^\| `edge {name}[ `]", README, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_no_command_that_does_not_exist(page: str) -> None:
    text = PAGES[page]
    shown = re.findall(r"(?:`|^|sudo |&& )edge ([a-z]+)(?: ([a-z]+))?", text, re.MULTILINE)
    for name, inner in shown:
        assert name in COMMANDS, f"edge {name}"
        group = edge.get_command(click.Context(edge), name)
        if isinstance(group, click.Group) and inner:
            assert inner in group.list_commands(click.Context(group)), f"edge {name} {inner}"
    for name, row in re.findall(r"^\| `edge ([a-z]+) ([a-z/]+/[a-z/]+)`", text, re.MULTILINE):
        group = edge.get_command(click.Context(edge), name)
        assert isinstance(group, click.Group)
        assert set(row.split("/")) <= set(group.list_commands(click.Context(group)))


def settings_named(text: str) -> set[str]:
    """``section.key`` in backticks, where the section is one of the settings'."""
    found = re.findall(r"`([a-z_]+)\.([a-z_]+)(?: ?=[^`]*)?`", text)
    files = {"json", "toml", "sqlite"}
    return {f"{section}.{key}" for section, key in found if section in Settings.model_fields and key not in files}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_no_setting_that_does_not_exist(page: str) -> None:
    known = {
        f"{section}.{key}"
        for section, field in Settings.model_fields.items()
        for kind in [field.annotation, *typing.get_args(field.annotation)]
        for key in getattr(kind, "model_fields", {})
    }
    assert known > {"mqtt.host", "recognition.false_names", "cameras.tiles"}
    labels = {one for one in settings_named(PAGES[page]) if one.startswith("labels.")}
    assert settings_named(PAGES[page]) - known - labels == set()


@pytest.mark.parametrize("page", PAGES)
def test_the_toml_of_a_page_is_settings_that_hold(page: str) -> None:
    for text in blocks("toml", PAGES[page]):
        values = tomllib.loads(text)
        if values.keys() <= Settings.model_fields.keys():
            Settings.model_validate(values)


def test_the_readme_links_every_page() -> None:
    aside = ("edge/core/", "edge/sources/", "scripts/", ".github/")
    missing = [page for page in PAGES if page != "README.md" and page not in README and not page.startswith(aside)]
    assert missing == []
    assert len(README.splitlines()) <= 200


def test_the_help_of_every_command_ends_in_an_example_that_keeps_its_lines() -> None:
    for words in commands():
        result = CliRunner().invoke(edge, [*words, "--help"], prog_name="edge")
        assert result.exit_code == 0, words
        example = result.output.partition("\n  Example:\n")[2]
        assert re.match(r"( {4}.*\n)+", example), f"edge {' '.join(words)} has no example"
        assert "\\b" not in result.output, words


def test_every_command_that_answers_takes_json() -> None:
    silent = {"setup", "run", "analyze"}  # events as JSON lines are what they print
    for words in commands():
        command: click.Command = edge
        for word in words:
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), word) or command
        if not isinstance(command, click.Group) and words[0] not in silent:
            assert "--json" in [name for option in command.params for name in option.opts], words


def test_the_topics_of_the_page_on_mqtt_are_the_ones_of_the_code() -> None:
    shown = re.findall(r"^\| `((?:up|down)/[^`]+)` \|", PAGES["config/mqtt.md"], re.MULTILINE)
    assert len(shown) >= 8
    for topic in shown:
        address = topics.parse(f"{topics.ROOT}/porch/{re.sub('<[a-z]+>', 'name', topic)}")
        assert address.kind in topics.HALVES[address.half]


@pytest.mark.parametrize("page", ["README.md", "config/mqtt.md"])
def test_the_event_of_a_page_is_an_event(page: str) -> None:
    (text,) = blocks("json", PAGES[page])
    event = messages.parse(messages.WireEvent, text.encode())
    assert event.identity.subject == "alice"
    written = json.loads(messages.event_json("porch", _queued(event)))
    assert json.loads(text).keys() <= written.keys(), "a field of the page that no event has"
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


def test_the_settings_of_the_readme_are_the_file_that_is_shipped() -> None:
    (text,) = blocks("toml")
    file = (ROOT / "config" / "pi-camera.toml").read_text(encoding="utf-8")
    assert text in file
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


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_of_a_page_leads_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]+)?\)", PAGES[page]):
        path = folder / target if target else ROOT / page
        assert path.exists(), f"{page}: {target}"
        if anchor and path.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor[1:] in {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_script_of_a_page_exists_and_can_be_run(page: str) -> None:
    for name in set(re.findall(r"(?<![\w/])scripts/([a-z_0-9]+)", PAGES[page])):
        path = ROOT / "scripts" / name
        assert path.exists(), name
        assert path.is_dir() or path.stat().st_mode & 0o111, name
