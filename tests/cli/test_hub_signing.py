"""A release that is signed on another machine: the offline keys never come to the hub."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.cli.main import edge
from edge.core.errors import ConflictError, InputError, NotFoundError

Hub = Callable[..., Result]


def commands(folder: Path) -> Hub:
    (folder / "edge.toml").write_text(f'[hub]\nrepository = "{folder / "hub"}"\n')

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(edge, ["--config", str(folder / "edge.toml"), "hub", *arguments])

    return run


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub whose offline keys are on a stick, and that has written a file to sign: ``release.json``."""
    pytest.importorskip("tuf", reason="needs the extra rekognition-edge[hub]")
    folder = tmp_path_factory.mktemp("asked")
    run = commands(folder)
    assert run("init", "--keys", str(folder / "stick")).exit_code == 0
    changed(folder, run, "Dog")
    assert run("publish", "--to-sign", str(folder / "release.json")).exit_code == 0
    return folder


@pytest.fixture
def hub(asked: Path, tmp_path: Path) -> Hub:
    shutil.copytree(asked, tmp_path, dirs_exist_ok=True)
    return commands(tmp_path)


def changed(folder: Path, hub: Hub, label: str) -> None:
    """The draft ships another taxonomy."""
    (folder / "taxonomy.json").write_text(json.dumps({label: {}}))
    assert hub("add", "taxonomy", str(folder / "taxonomy.json")).exit_code == 0


def signed(folder: Path, hub: Hub, keys: str = "stick") -> str:
    told = json.loads(hub("sign", str(folder / "release.json"), "--keys", str(folder / keys), "--json").stdout)
    return str(told["signed"])


def releases(folder: Path) -> list[str]:
    """Of the newest metadata that devices see."""
    metadata = folder / "hub/public/metadata"
    newest = max(metadata.glob("*.targets.json"), key=lambda path: int(path.name.split(".")[0]))
    return sorted(json.loads(newest.read_bytes())["signed"]["targets"])


def test_a_release_is_published_with_a_signature_from_elsewhere(hub: Hub, tmp_path: Path) -> None:
    file = signed(tmp_path, hub)
    assert releases(tmp_path) == []
    told = json.loads(hub("publish", "--signed", file, "--json").stdout)
    assert releases(tmp_path) == [f"releases/{told['release']}.json"]
    assert hub("rollout", told["release"], "--canary", "porch").exit_code == 0
    assert not (tmp_path / "hub/keys/offline/targets.pem").exists()


def test_a_file_without_a_signature_publishes_nothing(hub: Hub, tmp_path: Path) -> None:
    failed = hub("publish", "--signed", str(tmp_path / "release.json")).exception
    assert isinstance(failed, InputError)
    assert "no valid signature" in failed.message
    assert releases(tmp_path) == []


def test_a_file_that_a_wrong_key_signed_publishes_nothing(hub: Hub, tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    assert hub("init", "--repository", other, "--keys", str(tmp_path / "thief")).exit_code == 0
    assert isinstance(hub("publish", "--signed", signed(tmp_path, hub, "thief")).exception, InputError)
    assert releases(tmp_path) == []


def test_a_file_that_was_changed_on_the_way_publishes_nothing(hub: Hub, tmp_path: Path) -> None:
    file = Path(signed(tmp_path, hub))
    document = json.loads(file.read_bytes())
    document["signed"]["targets"] = {}
    file.write_text(json.dumps(document))
    assert isinstance(hub("publish", "--signed", str(file)).exception, ConflictError)
    assert releases(tmp_path) == []


def test_a_file_is_void_once_another_release_is_signed(hub: Hub, tmp_path: Path) -> None:
    file = signed(tmp_path, hub)
    changed(tmp_path, hub, "Cat")
    assert hub("publish", "--keys", str(tmp_path / "stick")).exit_code == 0
    failed = hub("publish", "--signed", file).exception
    assert isinstance(failed, ConflictError)
    assert "another release was signed in between" in failed.hint
    assert len(releases(tmp_path)) == 1


def test_a_signature_that_nobody_asked_for_is_refused(hub: Hub, tmp_path: Path) -> None:
    file = signed(tmp_path, hub)
    hub("publish", "--signed", file)
    assert isinstance(hub("publish", "--signed", file).exception, NotFoundError)


def test_what_is_no_file_to_sign_is_refused(hub: Hub, tmp_path: Path) -> None:
    for data in ("{}", "no JSON", (tmp_path / "hub/public/metadata/timestamp.json").read_text()):
        (tmp_path / "bad.json").write_text(data)
        assert isinstance(
            hub("sign", str(tmp_path / "bad.json"), "--keys", str(tmp_path / "stick")).exception, InputError
        )
    missing = hub("sign", str(tmp_path / "release.json"), "--keys", str(tmp_path / "nowhere")).exception
    assert isinstance(missing, NotFoundError)
