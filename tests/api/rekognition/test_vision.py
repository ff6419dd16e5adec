"""``api.tiles``: the endpoint's closer look at pictures in which faces are small."""

from __future__ import annotations

from pathlib import Path

from edge.api.rekognition.vision import Vision
from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings
from edge.inference.pool import ModelPool


def vision(state: Path, settings: Settings, *, closely: bool = True) -> Vision:
    return Vision(settings, ModelPool(settings.models, state), closely=closely)


def test_faces_that_are_small_in_a_picture_are_found_where_the_settings_ask_for_parts(
    shared_data: Path, tmp_path: Path
) -> None:
    picture = pictures.read(shared_data / "stills" / "crowd_1.jpg")
    counts = [len(vision(tmp_path, Settings(api=ApiSettings(tiles=tiles))).faces(picture)) for tiles in (0, 4)]

    assert counts[0] + 5 <= counts[1] <= 60


def test_stills_are_looked_at_closely_by_default_and_frames_of_videos_are_not(
    shared_data: Path, tmp_path: Path
) -> None:
    picture = pictures.read(shared_data / "stills" / "crowd_1.jpg")
    counts = [len(vision(tmp_path, Settings(), closely=closely).faces(picture)) for closely in (True, False)]

    assert counts[0] >= counts[1] + 5


def test_pictures_without_people_show_no_faces_but_one(shared_data: Path, tmp_path: Path) -> None:
    """A hot dog has a score of .64: the detector's card names such boxes (1.8 in 100 pictures)."""
    made = vision(tmp_path, Settings())
    names = [*(shared_data / "stills/imprinting").glob("*.png")]
    names += [shared_data / "stills" / name for name in ("cat_720p.jpg", "hot_dog.jpg", "parrot.jpg", "pets.jpg")]

    assert [name.name for name in names if made.faces(pictures.read(name))] in ([], ["hotdog_train_1.png"])
