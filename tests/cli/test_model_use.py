"""``edge models get NAME --use``: fetched or here already, the settings name it, and nothing else changes."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path


def edge(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", "--config", str(config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def settings(folder: Path, models: Path) -> Path:
    path = folder / "edge.toml"
    path.write_text(
        f'state = "{folder / "state"}"  # here\n[models]\npath = ["{models}"]\n'
        '[api]\nenabled = true\n[[cameras]]\nname = "door"\nsource = "synthetic:none"\n'
    )
    path.chmod(0o640)
    return path


def test_a_detector_that_is_here_is_used_by_every_camera(tmp_path: Path, shared_models: Path) -> None:
    config = settings(tmp_path, shared_models)
    before = config.read_text()
    done = edge(config, "models", "get", "ssd-mobilenet-v1-coco", "--use")

    assert done.returncode == 0, done.stderr
    document = tomllib.loads(config.read_text())
    assert document["cameras"][0]["detectors"] == ["edge-face-detector-1", "ssd-mobilenet-v1-coco"]
    assert document["labels"] == {"person": {}}
    assert [line for line in before.splitlines() if line not in config.read_text().splitlines()] == []
    assert config.stat().st_mode & 0o777 == 0o640
    assert edge(config, "config", "check", str(config)).returncode == 0


def test_what_is_no_detector_is_not_written(tmp_path: Path, shared_models: Path) -> None:
    config = settings(tmp_path, shared_models)
    before = config.read_text()
    done = edge(config, "models", "get", "mobilenet-v1-extractor-224", "--use")

    assert done.returncode != 0
    assert "no detector" in done.stderr
    assert config.read_text() == before


def test_the_doctor_says_that_faces_are_all_there_is(tmp_path: Path, shared_models: Path) -> None:
    config = settings(tmp_path, shared_models)
    assert "tell faces alone" in edge(config, "doctor").stdout
    edge(config, "models", "get", "ssd-mobilenet-v1-coco", "--use")
    assert "tell faces alone" not in edge(config, "doctor").stdout
