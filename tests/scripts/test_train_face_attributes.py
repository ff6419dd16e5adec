"""What the trainer of face attributes learns from: labels made by eye, and drawings on faces."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LETTERS = "msgdbucox"


@pytest.fixture(autouse=True)
def training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)


def test_labels_made_by_eye_name_no_file_and_use_known_letters_once() -> None:
    with (SCRIPTS / "training" / "attribute_labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert len(rows) > 600
    assert len({row["key"] for row in rows}) == len(rows)
    for row in rows:
        assert re.fullmatch("[0-9a-f]{12}", row["key"])
        assert re.fullmatch(f"(\\??[{LETTERS}])*", row["seen"])
        letters = row["seen"].replace("?", "")
        assert len(set(letters)) == len(letters), row


def test_drawn_glasses_are_clear_or_dark_as_asked_and_by_chance_as_before() -> None:
    from training.variation import Face, mustache, sunglasses

    points = np.array([[45, 50], [83, 50], [64, 72], [50, 90], [78, 90]], np.float32)
    face = Face(np.full((128, 128, 3), 170, np.uint8), np.array([25, 20, 103, 118], np.float32), points)

    def middle_of_eyes(clear: bool | None, seed: int) -> float:
        image = sunglasses(face, np.random.default_rng(seed), clear).image
        return float(np.mean([image[int(y) + 4, int(x)] for x, y in points[:2]]))

    for seed in range(8):
        assert middle_of_eyes(True, seed) == pytest.approx(170, abs=2)
        assert abs(middle_of_eyes(False, seed) - 170) > 5
        assert middle_of_eyes(None, seed) in (middle_of_eyes(True, seed), middle_of_eyes(False, seed))
    lip = mustache(face, np.random.default_rng(1)).image
    assert lip[80:90, 50:78].mean() < 168
    assert (lip[:60] == 170).all()
