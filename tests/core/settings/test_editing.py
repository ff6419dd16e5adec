"""A detector written into a settings file: everything else stays as it was written."""

from __future__ import annotations

import pytest

from edge.core.compat import tomllib
from edge.core.errors import SettingsError
from edge.core.settings.editing import with_detector

USUAL = ("edge-face-detector-2",)
NEW = "ssd-mobilenet-v1-coco"
BOTH = [*USUAL, NEW]

TEXT = """# my device
device.name = "porch"

[[cameras]]
name = "door"  # the front
detectors = ["own"]
fps = 2

[[cameras]]
name = "yard"

[api]
enabled = true
detectors = ["own"]  # for stills
"""


def test_every_camera_and_the_endpoint_get_it() -> None:
    text = with_detector(TEXT, NEW, USUAL, ["person"])
    document = tomllib.loads(text)

    assert [camera["detectors"] for camera in document["cameras"]] == [["own", NEW], BOTH]
    assert document["api"] == {"enabled": True, "detectors": ["own", NEW]}
    assert document["labels"] == {"person": {}}
    assert [camera["name"] for camera in document["cameras"]] == ["door", "yard"]
    kept = [line for line in TEXT.splitlines() if not line.startswith("detectors")]
    assert [line for line in kept if line not in text.splitlines()] == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('["own"] # faces', f'["own", "{NEW}"] # faces'),
        ("[]", f'["{NEW}"]'),
        ('[ # faces\n  "own", # shipped\n]', f'[ # faces\n  "own", "{NEW}", # shipped\n]'),
        ('["own",\n  "b" # ] goes on\n] # end', f'["own",\n  "b", "{NEW}" # ] goes on\n] # end'),
        ("['#]']", f"['#]', \"{NEW}\"]"),
    ],
)
def test_comments_of_a_list_stay_where_they_are(before: str, after: str) -> None:
    text = "# first\n[[cameras]] # door\ndetectors = {}\n# last\n"
    assert with_detector(text.format(before), NEW, USUAL) == text.format(after)


def test_it_is_written_once() -> None:
    once = with_detector(TEXT, NEW, USUAL, ["person"])
    assert with_detector(once, NEW, USUAL, ["person"]) == once


@pytest.mark.parametrize("text", ["", "# nothing\n", "[api]\nenabled = true\n", "[labels.person]\nscore = 0.4\n"])
def test_a_file_without_cameras_gets_the_one_that_is_there_by_default(text: str) -> None:
    document = tomllib.loads(with_detector(text, NEW, USUAL, ["person"]))
    assert document["cameras"] == [{"detectors": BOTH}]
    assert "detectors" not in document.get("api", {})
    assert "person" in document["labels"]


@pytest.mark.parametrize(
    "text",
    [
        'cameras = [{ name = "door" }]\n',
        '[[cameras]]\ndetectors = [["own"]]\n',
        "[[cameras]\n",
    ],
)
def test_what_cannot_be_changed_is_left_to_a_person(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        with_detector(text, NEW, USUAL)
    assert caught.value.hint
