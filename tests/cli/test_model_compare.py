from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODELS = ("mobilefacenet-112-int8", "edge-face-embedder-1")


def run(state: Path, *arguments: str | Path, models: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "STATE_DIRECTORY": str(state), "EDGE_MODELS__CHECK": "false"}
    if models:
        environment["EDGE_MODELS__PATH"] = json.dumps([str(models)])
    command = [sys.executable, "-m", "edge", "models", "compare", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_two_embedders_are_compared_on_the_owners_pictures(
    tmp_path: Path, shared_models: Path, shared_data: Path
) -> None:
    gallery = shared_data / "tv_cast" / "gallery"
    done = run(
        tmp_path, *MODELS, "--people", gallery, "--detector", "ulffd-landmark-320", "--json", models=shared_models
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(one["embedder"], one["people"]) for one in found] == [(name, 8) for name in MODELS]
    good, starter = found
    assert good["right"] > 0.9
    assert good["right"] >= starter["right"]
    assert good["wrong"] == good["strangers"] == 0
    assert not list(tmp_path.glob("*.sqlite")), "nothing is kept"


@pytest.mark.parametrize("layout", [(), ("ann/1.jpg", "bob/1.jpg"), ("1.jpg", "2.jpg")])
def test_a_folder_without_two_people_is_refused(tmp_path: Path, layout: tuple[str, ...]) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    for name in layout:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    done = run(tmp_path / "state", "edge-face-embedder-1", "--people", folder)
    assert done.returncode == 1
    assert "for each of 2 or more people, got 0" in done.stderr
    assert "try: create FOLDER/NAME/picture.jpg" in done.stderr
