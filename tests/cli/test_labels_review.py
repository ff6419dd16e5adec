"""Pictures of a folder become questions, are answered all at once, and the next version learns from them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest


@pytest.fixture
def device(tmp_path: Path, shared: Path) -> Path:
    """A settings file of a device that knows cats from dogs, and a folder of new pictures beside it."""
    stills = shared / "data/stills/imprinting"
    for kind in ("cat", "dog"):
        (tmp_path / "learn" / kind).mkdir(parents=True)
        for file in stills.glob(f"{kind}_*.png"):
            shutil.copy(file, tmp_path / "learn" / kind)
    (tmp_path / "new").mkdir()
    for file in stills.glob("*.png"):
        shutil.copy(file, tmp_path / "new")
    wall = np.full((200, 200, 3), 120, np.uint8)
    cv2.imwrite(str(tmp_path / "new/wall.png"), wall)
    config = tmp_path / "edge.toml"
    config.write_text(f'state = "{tmp_path / "state"}"\n[models]\npath = ["{shared / "models"}"]\ncheck = false\n')
    edge(config, "labels", "train", "pets", str(tmp_path / "learn"))
    return config


def edge(config: Path, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "edge", "--config", str(config), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == code, done.stderr
    return done.stdout


def questions(config: Path, code: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(edge(config, "review", "list", "--json", code=code))["questions"]
    return found


def test_a_folder_is_asked_about_answered_and_learned(device: Path) -> None:
    folder = device.parent / "new"
    edge(device, "labels", "predict", "pets", str(folder))
    assert questions(device, code=3) == []

    said = json.loads(edge(device, "labels", "predict", "pets", str(folder), "--review", "--json"))
    waiting = questions(device)
    assert said["queued"] == len(waiting) > 0
    assert "wall.png" in {one["camera"] for one in waiting}
    assert {one["reason"] for one in waiting} <= {"threshold", "unmatched"}
    edge(device, "review", "list", "--pictures", str(folder.parent / "shown"))
    assert len(list((folder.parent / "shown").glob("*.jpg"))) == len(waiting)

    subject = waiting[0]["subject"]
    of_it = sum(one["subject"] == subject for one in waiting)
    edge(device, "review", "answer", "--all-of", subject, "--not")
    assert len(questions(device, code=0 if of_it < len(waiting) else 3)) == len(waiting) - of_it
    assert "learned" in edge(device, "labels", "refit", "pets", "--force")


def test_numbers_or_a_subject_and_not_both(device: Path) -> None:
    edge(device, "review", "answer", "--confirm", code=2)
    edge(device, "review", "answer", "1", "--all-of", "cat", "--confirm", code=2)
