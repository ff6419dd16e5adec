from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rigs.release_simulator import Fleet, offering

from edge.cli.main import edge
from edge.core.errors import EdgeError
from edge.core.settings import template as config_file


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with offering(tmp_path / "hub", 4) as fleet:
        yield fleet


@pytest.fixture
def config(fleet: Fleet, tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    sync = {"url": fleet.site.url, "root": str(fleet.root), "reserve_bytes": 0}
    path.write_text(config_file.written({"state": str(tmp_path / "state"), "device": {"name": "porch"}, "sync": sync}))
    return path


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(edge, ["--config", str(config), *words])


def test_a_release_is_looked_at_fetched_listed_shown_and_taken_back(config: Path, fleet: Fleet) -> None:
    for words, said in (("list", "no release is on this device\n"), ("show", "no release is in use on this device\n")):
        nothing = run(config, "release", words)
        assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (3, "", said)
    assert "release r1 would be fetched" in run(config, "sync", "--dry-run").output
    assert json.loads(run(config, "sync", "--json").output)["outcome"] == "installed"
    assert "release r1 is up to date" in run(config, "sync").output
    assert json.loads(run(config, "release", "list", "--json").output) == [
        {"release": "r1", "in_use": "current", "state": "on probation"}
    ]
    assert json.loads(run(config, "release", "show", "--json").output)["collections"] == {"staff": 4}
    assert "no release is in use any more" in run(config, "release", "rollback").output
    assert "failed here before" in run(config, "sync").output
    assert "taken back by hand" in run(config, "release", "list").output
    assert isinstance(run(config, "release", "rollback").exception, EdgeError)


def test_a_rollout_in_steps_needs_somebody_and_shows_what_it_is(config: Path, fleet: Fleet) -> None:
    hub = ("--repository", str(fleet.folder))
    assert run(config, "hub", "rollout", "--group", "lab", *hub).exit_code == 2
    nobody = run(config, "hub", "rollout", "r1", "--group", "lab", "--percent", "5", *hub)
    assert "may select none" in str(nobody.exception)
    words = ("--percent", "5", "--canary", "lab-1", "--pin", "lab-9=r1", "--json")
    done = run(config, "hub", "rollout", "r1", "--group", "lab", *words, *hub)
    assert done.exception is None
    deployed = json.loads(done.output)
    assert (deployed["canaries"], deployed["pins"], deployed["percent"]) == (["lab-1"], {"lab-9": "r1"}, 5.0)
    held = run(config, "hub", "rollout", "--group", "lab", "--hold", "--pin", "lab-9=", *hub)
    assert "on hold" in held.output
    assert "lab-9" not in held.output
    shown = json.loads(run(config, "hub", "rollout", "--group", "lab", "--json", *hub).output)
    assert (shown["number"], shown["hold"]) == (2, True)


def test_a_hub_that_is_not_there_says_how_to_make_one(config: Path, tmp_path: Path) -> None:
    for words in (("publish",), ("forget", "alice"), ("rollout",), ("refresh",), ("rotate", "timestamp")):
        error = run(config, "hub", *words, "--repository", str(tmp_path / "nowhere")).exception
        assert isinstance(error, EdgeError)
        assert "edge hub init" in error.hint
        assert "hub.repository" in error.hint


def test_a_hub_is_made_once_and_its_keys_change(config: Path, tmp_path: Path) -> None:
    hub = ("--repository", str(tmp_path / "fresh"), "--keys", str(tmp_path / "stick"))
    made = json.loads(run(config, "hub", "init", "--json", *hub).output)
    assert Path(made["root"]).name == "1.root.json"
    assert sorted(path.name for path in (tmp_path / "stick").iterdir()) == ["root.pem", "targets.pem"]
    assert isinstance(run(config, "hub", "init", *hub).exception, EdgeError)
    assert "has a new key" in run(config, "hub", "rotate", "timestamp", *hub).output
    assert "timestamp  version 2" in run(config, "hub", "refresh", *hub[:2]).output.replace("version 3", "version 2")
