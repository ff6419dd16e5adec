"""The detector's trainer: nothing is asked of uncertain faces, and some of the material is kept aside."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

LABELLED = np.array([[30, 40], [50, 40], [40, 50], [32, 62], [48, 62]], np.float32)


@pytest.fixture(autouse=True)
def training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[2] / "scripts")


def test_a_face_without_landmarks_and_one_that_is_mostly_cut_off_are_neither_faces_nor_background() -> None:
    from training.backgrounds import Backgrounds, Material
    from training.composites import Composer
    from training.data import FaceLabel, Picture

    image = np.random.default_rng(1).integers(0, 255, (250, 250, 3), np.uint8)
    sure = FaceLabel(np.array([20, 20, 60, 70], np.float32), LABELLED, 0.9)
    unsure = FaceLabel(np.array([150, 30, 190, 80], np.float32), np.full((5, 2), np.nan, np.float32), 0.4)
    composer = Composer([image], [Picture("a/1.jpg", "a", (sure, unsure))], Backgrounds(Material(), []))
    scenes = [composer.scene(np.random.default_rng((2, number))) for number in range(120)]
    known = [not np.isnan(points).any() for scene in scenes for points in scene.points]
    boxes = np.array([box for scene in scenes for box in scene.boxes])
    assert len(boxes) == len(known)
    assert any(known)
    assert not all(known)
    assert np.isfinite(boxes).all()


def test_every_cut_leaves_half_of_the_face_and_a_window_that_is_not_empty() -> None:
    from training.composites import _cut

    box = np.array([20, 20, 60, 70], np.float32)
    for number in range(200):
        left, top, right, bottom = _cut((0, 0, 250, 250), box, np.random.default_rng(number))
        assert 0 <= left <= 40 <= right <= 250
        assert 0 <= top <= 45 <= bottom <= 250
        assert (left, top, right, bottom) != (0, 0, 250, 250)


def test_backgrounds_are_trained_with_or_kept_aside_and_what_was_cut_out_of_them_with_them(tmp_path: Path) -> None:
    from training.backgrounds import is_kept_aside, kept_aside, read_material

    for number in range(60):
        for name in (f"{number}.jpg", f"{number}@0.jpg"):
            cv2.imwrite(str(tmp_path / name), np.full((20, 20, 3), number, np.uint8))
    kept = kept_aside(tmp_path)
    assert 0 < len(kept) < 20
    assert all(is_kept_aside(path.with_stem(f"{path.stem}@0")) for path in kept)
    assert len(read_material(tmp_path).photographs) == 120 - 2 * len(kept)
