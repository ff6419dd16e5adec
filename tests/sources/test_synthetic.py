from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.core.compat import tomllib
from edge.core.errors import SourceError
from edge.core.imaging import image as pictures
from edge.core.resources import DATA
from edge.core.settings.vision import CameraSettings
from edge.core.types import Box, Frame
from edge.sources.factory import open_source
from edge.sources.synthetic import VISITS, Synthetic

WIDTH, HEIGHT = 1280, 720


@pytest.fixture(scope="module")
def synthetic() -> Synthetic:
    return Synthetic(CameraSettings(source="synthetic", realtime=False, fps=5), "")


def pixels(box: Box) -> tuple[float, float]:
    return box.width * WIDTH, box.height * HEIGHT


def test_the_packages_own_portraits_are_filmed(synthetic: Synthetic) -> None:
    frames: list[Frame] = [frame for frame, _ in zip(synthetic.frames(), range(3), strict=False)]
    assert len(synthetic.subjects) >= 2
    assert [(frame.main.layout, frame.main.width, frame.main.height) for frame in frames] == [("i420", 1280, 720)] * 3
    assert frames[1].monotonic - frames[0].monotonic == pytest.approx(0.2)


def test_the_small_plane_shows_the_same(synthetic: Synthetic) -> None:
    frame = next(frame for frame in synthetic.frames() if frame.sequence == 3)
    assert frame.small is not None
    assert (frame.small.width, frame.small.height) == (320, 180)
    small = pictures.to_rgb(frame.small).astype(int)
    assert np.abs(small - pictures.resized_rgb(frame.main, 320, 180)).mean() < 3


def test_the_same_seed_films_the_same_whatever_was_filmed_before() -> None:
    camera = CameraSettings(source="synthetic", width=320, height=180)
    one, other = Synthetic(camera, ""), Synthetic(camera, "")
    other.picture(3)
    assert np.array_equal(one.picture(40).data, other.picture(40).data)
    assert not np.array_equal(one.picture(40).data, Synthetic(camera, "", seed=2).picture(40).data)


def test_each_subject_comes_and_goes_as_often_as_planned(synthetic: Synthetic) -> None:
    seen: dict[int, list[int]] = {}
    who: dict[int, str] = {}
    for number in range(synthetic.length):
        for presence in synthetic.truth(number):
            seen.setdefault(presence.visit, []).append(number)
            who[presence.visit] = presence.subject
    assert Counter(who.values()) == dict.fromkeys(synthetic.subjects, VISITS)
    for numbers in seen.values():
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert len(numbers) >= 5 * 5  # five seconds at five frames
    assert synthetic.truth(0) == []
    assert synthetic.truth(synthetic.length - 1) == []
    assert any(len(synthetic.truth(number)) == 2 for number in range(synthetic.length))


def test_faces_are_large_enough_and_inside_while_they_stay(synthetic: Synthetic) -> None:
    boxes = [presence.box for number in range(synthetic.length) for presence in synthetic.truth(number)]
    heights = [pixels(box)[1] for box in boxes]
    assert min(heights) >= 80
    assert max(heights) <= 250
    assert sum(box.held_by(Box(0, 0, 1, 1)) > 0.99 for box in boxes) > 0.8 * len(boxes)


def test_the_true_box_holds_the_face(synthetic: Synthetic) -> None:
    """The face of the portrait, found by correlation in the frame, lies where the truth says."""
    folder = DATA / "portraits"
    number, presence = next(
        (number, found[0])
        for number in range(20, synthetic.length)
        if len(found := synthetic.truth(number)) == 1 and abs(found[0].box.center.x - 0.5) < 0.27
    )
    portrait = pictures.read(next((folder / presence.subject).glob("*.jpg")))
    left, top, right, bottom = tomllib.loads((folder / "faces.toml").read_text())[f"{presence.subject}/1.jpg"]
    rgb = pictures.to_rgb(portrait)
    face = rgb[
        int(top * portrait.height) : int(bottom * portrait.height),
        int(left * portrait.width) : int(right * portrait.width),
    ]
    face = cv2.resize(face, tuple(round(side) for side in pixels(presence.box)))
    frame = pictures.to_rgb(synthetic.picture(number))
    _, score, _, place = cv2.minMaxLoc(cv2.matchTemplate(frame, face, cv2.TM_CCOEFF_NORMED))
    assert score > 0.7
    assert abs(place[0] - presence.box.left * WIDTH) < 12
    assert abs(place[1] - presence.box.top * HEIGHT) < 12


def test_light_and_sharpness_change(synthetic: Synthetic) -> None:
    bright = [float(pictures.planes(synthetic.picture(number))[0].mean()) for number in range(0, synthetic.length, 8)]
    assert max(bright) > 1.3 * min(bright)


def test_a_loop_goes_on_after_the_scene() -> None:
    looped = Synthetic(CameraSettings(source="synthetic", loop=True, width=160, height=96), "")
    later = looped.length + 20
    assert [presence.subject for presence in looped.truth(later)] == [presence.subject for presence in looped.truth(20)]
    assert {presence.visit for presence in looped.truth(later)}.isdisjoint(
        presence.visit for presence in looped.truth(20)
    )


def test_a_folder_of_ones_own_portraits_is_filmed_without_a_list_of_faces(tmp_path: Path) -> None:
    for name, color in (("ada", (200, 60, 60)), ("bob", (60, 60, 200))):
        (tmp_path / name).mkdir()
        rgb = np.full((120, 100, 3), 230, np.uint8)
        cv2.ellipse(rgb, (50, 48), (20, 26), 0, 0, 360, color, -1)
        cv2.rectangle(rgb, (15, 85), (85, 120), color, -1)
        (tmp_path / name / "1.jpg").write_bytes(pictures.encode_jpeg(rgb))
    camera = CameraSettings(source=f"synthetic:{tmp_path}", realtime=False, width=320, height=180)
    source = open_source(camera)
    assert sum(1 for _ in source.frames()) > 50
    assert isinstance(source, Synthetic)
    assert source.subjects == ["ada", "bob"]


def test_rgb_shows_what_i420_shows() -> None:
    camera = CameraSettings(source="synthetic", width=320, height=180)
    rgb = pictures.to_rgb(Synthetic(camera, "", layout="rgb").picture(20)).astype(int)
    planar = pictures.to_rgb(Synthetic(camera, "").picture(20))
    assert np.abs(rgb - planar).mean() < 6


@pytest.mark.parametrize("what", ["missing", "empty", "broken picture", "broken list"])
def test_a_folder_that_cannot_be_filmed_is_an_error(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "people"
    if what != "missing":
        (folder / "ada").mkdir(parents=True)
    if what.startswith("broken"):
        (folder / "ada" / "1.jpg").write_bytes(b"\xff\xd8\xffnothing")
    if what == "broken list":
        (folder / "faces.toml").write_text('"ada/1.jpg" = [1, 2]')
    with pytest.raises(SourceError) as caught:
        next(iter(open_source(CameraSettings(source=f"synthetic:{folder}")).frames()))
    assert caught.value.hint
