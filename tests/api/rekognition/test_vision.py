"""``api.tiles``: the endpoint's closer look at pictures in which faces are small."""

from __future__ import annotations

from pathlib import Path

from edge.api.rekognition.vision import Vision
from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings


def test_faces_that_are_small_in_a_picture_are_found_where_the_settings_ask_for_parts(
    shared_data: Path, tmp_path: Path
) -> None:
    picture = pictures.read(shared_data / "stills" / "crowd_1.jpg")
    counts = [len(Vision(Settings(api=ApiSettings(tiles=tiles)), tmp_path).faces(picture)) for tiles in (0, 4)]

    assert counts[0] + 15 <= counts[1] <= 60
