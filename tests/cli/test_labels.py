"""Labels learned from real pictures by the real base, through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from rigs.settings_files import write

from edge.cli.main import edge


@pytest.fixture(scope="module")
def taught(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, object]]:
    """(configuration, pictures, what training said) of the cats, dogs and hot dogs."""
    base = tmp_path_factory.mktemp("taught")
    for file in (shared / "data" / "stills" / "imprinting").glob("*.png"):
        label, part, _ = file.name.split("_")
        (base / part / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, base / part / label)
    (base / "train" / "cat" / "broken.jpg").write_bytes(b"not a picture")
    config = write(base, shared / "models")
    command = ["--config", str(config), "labels", "train", "pets", str(base / "train"), "--test", str(base / "test")]
    answer = CliRunner().invoke(edge, [*command, "--json"])
    assert answer.exit_code == 0, answer.stderr
    return config, base, json.loads(answer.stdout)


def test_four_pictures_tell_cats_dogs_and_hot_dogs_apart(taught: tuple[Path, Path, dict[str, object]]) -> None:
    _, _, said = taught
    assert said["f1"] == 1.0
    assert said["learned"] == 4
    assert "broken.jpg" in str(said["problems"])


def test_another_picture_is_told(taught: tuple[Path, Path, dict[str, object]], shared: Path) -> None:
    config, _, _ = taught
    picture = shared / "data" / "stills" / "hot_dog.jpg"
    answer = CliRunner().invoke(edge, ["--config", str(config), "labels", "predict", "pets", str(picture), "--json"])
    (image,) = json.loads(answer.stdout)["images"]
    assert [one["label"] for one in image["labels"]] == ["hotdog"]


def test_one_picture_a_label_is_a_clear_error(taught: tuple[Path, Path, dict[str, object]], tmp_path: Path) -> None:
    config, base, _ = taught
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        shutil.copy(base / "train" / label / f"{label}_train_0.png", tmp_path / label)
    answer = CliRunner().invoke(edge, ["--config", str(config), "labels", "train", "few", str(tmp_path)])
    assert "each label has only one" in str(answer.exception)
    listed = CliRunner().invoke(edge, ["--config", str(config), "labels", "list", "--json"])
    assert [one["name"] for one in json.loads(listed.stdout)["labels"]] == ["pets"]
