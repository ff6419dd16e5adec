"""scripts/feedback_loop on the portraits that are shipped: it says what answers taught, and applies no wrong one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rigs.running import ROOT

from edge.core.imaging import image as pictures


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Eight pictures of each of the two women, made of their portraits: nearer, darker, brighter, blurred."""
    chance = np.random.default_rng(1)
    for folder in sorted((ROOT / "edge/data/portraits").iterdir()):
        for portrait in sorted(folder.glob("*.jpg")) if folder.is_dir() else ():
            picture = pictures.read(portrait)
            (tmp_path / folder.name).mkdir()
            for number in range(8):
                width = int(chance.integers(240, 420))
                rgb = pictures.resized_rgb(picture, width, round(width * picture.height / picture.width))
                lit = np.clip(rgb * chance.uniform(0.5, 1.2) + chance.normal(0, 6, rgb.shape), 0, 255).astype(np.uint8)
                (tmp_path / folder.name / f"{number}.jpg").write_bytes(pictures.encode_jpeg(lit))
    return tmp_path


def test_the_loop_answers_from_the_folders_and_applies_nothing_wrong(people: Path) -> None:
    words = [
        ROOT / "scripts/feedback_loop",
        people,
        "--people",
        1,
        "--strangers",
        1,
        "--learn",
        4,
        "--test",
        3,
        "--json",
    ]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["people"], report["streamed"], report["tested"]) == (1, 4, 4)
    right, erring = report["rounds"].values()
    assert right["wrong"] == {"given": 0, "refused": 0, "applied": 0}
    assert erring["wrong"]["given"] == erring["wrong"]["refused"] + erring["wrong"]["applied"]
    for one in (right, erring):
        assert sum(one["before"].values()) == sum(one["after"].values()) == 4
        assert one["after"].get("people right", 0) >= one["before"].get("people right", 0)
        assert one["after"].get("strangers wrong", 0) == 0


def test_a_folder_without_people_is_told_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    words = [sys.executable, str(ROOT / "scripts/feedback_loop"), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "expected people with 5 pictures" in done.stderr
