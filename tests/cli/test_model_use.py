"""``edge models get NAME --use``: fetched or here already, the settings name it, and nothing else changes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

from rigs.file_server import serving

from edge.core.compat import tomllib
from edge.inference.onboarding import catalog


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
    assert document["cameras"][0]["detectors"] == ["edge-face-detector-2", "ssd-mobilenet-v1-coco"]
    assert document["labels"] == {"person": {}}
    assert [line for line in before.splitlines() if line not in config.read_text().splitlines()] == []
    assert config.stat().st_mode & 0o777 == 0o640
    assert edge(config, "config", "check", str(config)).returncode == 0


def test_what_is_no_detector_is_not_written(tmp_path: Path, shared_models: Path) -> None:
    config = settings(tmp_path, shared_models)
    before = config.read_text()
    done = edge(config, "models", "get", "mobilenet-v1-extractor-224", "--use")

    assert done.returncode != 0
    assert "not a detector" in done.stderr
    assert config.read_text() == before


def test_the_doctor_says_that_faces_are_all_there_is(tmp_path: Path, shared_models: Path) -> None:
    config = settings(tmp_path, shared_models)
    assert "detect only faces" in edge(config, "doctor").stdout
    edge(config, "models", "get", "ssd-mobilenet-v1-coco", "--use")
    assert "detect only faces" not in edge(config, "doctor").stdout


COMMENTED = """\
# porch and yard
state = "{state}"  # on the SSD

[api]  # for scripts
enabled = true

# the door's camera, seen by the postman
[[cameras]]
name = "door"      # front
source = "synthetic:none"

[[cameras]]
name = "yard"
source = "synthetic:none"
detectors = [ # faces alone so far
    "edge-face-detector-2", # shipped
]

[labels.face]   # family
collection = "faces"
"""


def got(tmp_path: Path, model: bytes, times: int = 1) -> tuple[list[subprocess.CompletedProcess[str]], int, Path]:
    """The shipped catalog's entry, digest and all, fetched from this machine: answers, requests, and the settings."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("detect.tflite", model)
    config, shop = tmp_path / "edge.toml", tmp_path / "catalog.toml"
    config.write_text(COMMENTED.format(state=tmp_path / "state"))
    offer = tomllib.loads(catalog.FILE.read_text())["ssd-mobilenet-v1-coco"]
    with serving() as server:
        server.files["/coco.zip"] = archive.getvalue()
        lines = [f"{key} = {json.dumps(value)}" for key, value in {**offer, "url": f"{server.url}/coco.zip"}.items()]
        shop.write_text("[ssd-mobilenet-v1-coco]\n" + "\n".join(lines))
        command = ("models", "get", "ssd-mobilenet-v1-coco", "--use", "--catalog", str(shop))
        answers = [edge(config, *command) for _ in range(times)]
    return answers, len(server.asked), config


def test_a_detector_is_fetched_checked_and_written_in_one_step(tmp_path: Path, shared_models: Path) -> None:
    model = (shared_models / "det_ssd_mobilenet_v1_coco_300_uint8.tflite").read_bytes()
    (done, again), asked, config = got(tmp_path, model, times=2)
    assert done.returncode == again.returncode == 0, done.stderr
    assert "licence: Apache-2.0" in done.stdout
    assert asked == 1, "what is here already is not fetched again"
    document = tomllib.loads(config.read_text())
    both = ["edge-face-detector-2", "ssd-mobilenet-v1-coco"]
    assert [camera["detectors"] for camera in document["cameras"]] == [both, both]
    assert {"face", "person"} <= document["labels"].keys()
    comments = [part for line in COMMENTED.splitlines() for part in [line.partition("#")[2]] if part]
    assert [comment for comment in comments if comment not in config.read_text()] == []
    assert edge(config, "config", "check", str(config)).returncode == 0
    assert "ssd-mobilenet-v1-coco" in edge(config, "models", "list").stdout


def test_other_bytes_than_the_catalog_names_are_not_used(tmp_path: Path) -> None:
    (done,), _, config = got(tmp_path, b"TFL3 is not enough")
    assert done.returncode == 1
    assert config.read_text() == COMMENTED.format(state=tmp_path / "state")
