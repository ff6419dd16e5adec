"""What detectors call a thing, and what Rekognition calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.api.rekognition.operations.labels import labels_of
from edge.api.rekognition.taxonomy import Taxonomy
from edge.core.errors import SettingsError
from edge.core.types import Box, Detection

WHOLE = Box(0, 0, 1, 1)


def test_every_coco_label_has_a_name_and_a_category(shared_models: Path) -> None:
    taxonomy = Taxonomy()
    words = [line for line in (shared_models / "coco_labels.txt").read_text().splitlines() if line not in ("n/a", "")]

    assert len(words) == 80
    assert [word for word in words if not taxonomy.concept(taxonomy.name(word)).categories] == []


def test_ancestors_come_nearest_first_and_become_labels_of_their_own() -> None:
    taxonomy = Taxonomy()
    found = [Detection("car", 0.9, WHOLE), Detection("car", 0.6, WHOLE), Detection("bus", 0.95, WHOLE)]

    labels = {label["Name"]: label for label in labels_of(found, taxonomy)}

    assert taxonomy.ancestors("Car") == ("Vehicle", "Transportation")
    assert set(labels) == {"Car", "Bus", "Vehicle", "Transportation"}
    assert [one["Confidence"] for one in labels["Car"]["Instances"]] == [90.0, 60.0]
    assert labels["Vehicle"]["Confidence"] == 95.0
    assert labels["Vehicle"]["Instances"] == []


def test_a_label_that_is_not_in_the_taxonomy_keeps_its_name() -> None:
    (label,) = labels_of([Detection("garden gnome", 0.7, WHOLE)], Taxonomy())

    assert label["Name"] == "Garden Gnome"
    assert label["Parents"] == label["Aliases"] == label["Categories"] == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[Gnome]\nparents = ['Statue']", "Statue"),
        ("[Gnome]\nparent = 'Statue'", "parent"),
        ("[Gnome", "taxonomy"),
    ],
)
def test_a_taxonomy_that_does_not_hold_together_says_why(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "taxonomy.toml"
    path.write_text(text)

    with pytest.raises(SettingsError, match=says):
        Taxonomy(path)


def test_labels_that_are_each_others_parents_do_not_climb_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "taxonomy.toml"
    path.write_text("[A]\nparents = ['B']\n[B]\nparents = ['A']\n")

    assert Taxonomy(path).ancestors("A") == ("B",)
