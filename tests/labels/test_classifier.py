"""Versions by the names that cameras have for them: found, refused, shipped, tried."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rigs.fakes import SPACE, CountsEmbeddings
from rigs.heads import a_version

from edge.core.errors import ModelError, NotFoundError, SettingsError, SpaceError, StoreError
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings
from edge.core.types import Embedding
from edge.inference.embedder import Embedder
from edge.labels import classifier as custom_labels
from edge.labels.classifier import load_classifier
from edge.labels.store import Labels
from edge.labels.version import Version
from edge.releases import label_verification as labels_trial
from edge.releases.manager import blamed
from edge.releases.manifest import Blob, LabelsProbe, Release, ShippedLabels, parse, to_bytes
from edge.releases.release_store import ReleaseStore

SPACE_NAME = SPACE.fingerprint


class Backbone(CountsEmbeddings):
    """Gives every picture ``vector``."""

    def __init__(self, vector: tuple[float, ...] = (1, 0, 0, 0)) -> None:
        super().__init__()
        self.vector = np.array(vector, np.float32)

    def embed(self, picture: object, detections: object) -> list[Embedding]:
        return [replace(one, vector=self.vector) for one in super().embed(picture, detections)]  # type: ignore[arg-type]


class Tools:
    """A backbone under any name, and no detector."""

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone

    def detector(self, name: str) -> object:
        raise NotFoundError(f"no detector {name}", "")

    def embedder(self, name: str) -> Embedder:
        return self.backbone  # type: ignore[return-value]


def settings_of(*names: str, detectors: tuple[str, ...] = ()) -> Settings:
    return Settings(cameras=(CameraSettings(name="yard", detectors=detectors, custom_labels=names),))


def backbone_of(name: str) -> Embedder:
    assert name == "base"
    return Backbone()  # type: ignore[return-value]


def shipped(version: Version, store: Labels, slots: ReleaseStore, probe: LabelsProbe | None = None) -> ShippedLabels:
    """With its files among the blobs."""
    files = {}
    slots.prepare()
    for name, data in store.files(version).items():
        digest = hashlib.sha256(data).hexdigest()
        slots.blob(digest).write_bytes(data)
        files[name] = Blob(digest, len(data))
    probe = probe or LabelsProbe((1.0, 0.0, 0.0, 0.0))
    return ShippedLabels(version.name, version.number, version.space, files, probe)


def test_a_name_is_the_version_in_use_and_a_number_that_version(tmp_path: Path) -> None:
    a_version(tmp_path, space=SPACE_NAME)
    second = a_version(tmp_path, labels=("cat", "bird"), space=SPACE_NAME)
    assert custom_labels.find("helmets", tmp_path)[0] == second
    assert custom_labels.find("helmets/1", tmp_path)[0].number == 1
    assert custom_labels.labels_of(CameraSettings(custom_labels=("helmets", "gone", "helmets/1")), tmp_path) == (
        "cat", "bird", "dog",
    )  # fmt: skip
    with pytest.raises(NotFoundError, match="no custom labels 'helmets/3'"):
        custom_labels.find("helmets/3", tmp_path)


def test_what_a_release_brings_comes_before_what_was_learned_here(tmp_path: Path) -> None:
    a_version(tmp_path, space=SPACE_NAME)
    a_version(tmp_path, space=SPACE_NAME)
    hub = a_version(tmp_path / "hub", labels=("cat", "fish"), space=SPACE_NAME)
    slots = ReleaseStore(tmp_path)
    release = Release("r1", 1.0, custom_labels=(shipped(hub, Labels(tmp_path / "hub"), slots),))
    assert parse(Release, to_bytes(release)) == release
    slots.install(release)
    slots.activate("r1", "")
    version, store = custom_labels.find("helmets", tmp_path)
    assert version.labels == ("cat", "fish")
    assert store.head(version).labels == ("cat", "fish")
    slots.verify(release)
    (slots.path("r1") / "labels" / "helmets" / "1" / "head.npz").write_bytes(b"x")
    with pytest.raises(StoreError, match="damaged"):
        slots.verify(release)


def test_a_version_joins_its_backbone(tmp_path: Path) -> None:
    a_version(tmp_path, space=SPACE_NAME)
    classifier = load_classifier("helmets", settings_of("helmets"), tmp_path, "", {}, backbone_of)
    assert (classifier.version, classifier.regions, classifier.head.labels) == ("helmets/1", (), ("cat", "dog"))


def test_a_version_of_another_backbone_is_refused(tmp_path: Path) -> None:
    a_version(tmp_path, space="other/litert/p1/4")
    with pytest.raises(SpaceError, match="expected embeddings of other/litert/p1/4") as caught:
        load_classifier("helmets", settings_of("helmets"), tmp_path, "", {}, backbone_of)
    assert "train them again" in caught.value.hint


def test_a_camera_without_the_detector_is_refused_unless_a_release_put_it_in_place(tmp_path: Path) -> None:
    a_version(tmp_path, space=SPACE_NAME, detectors=("new",))
    with pytest.raises(SettingsError, match="detector 'new', which camera 'yard' does not use"):
        load_classifier("helmets", settings_of("helmets", detectors=("old",)), tmp_path, "", {}, backbone_of)
    settings = settings_of("helmets", detectors=("new",))
    assert load_classifier("helmets", settings, tmp_path, "", {"old": "new"}, backbone_of).regions == ("truck",)


def test_a_version_of_a_replaced_detector_works_with_the_one_in_its_place(tmp_path: Path) -> None:
    a_version(tmp_path, space=SPACE_NAME, detectors=("old",))
    settings = settings_of("helmets", detectors=("new",))
    assert load_classifier("helmets", settings, tmp_path, "", {"old": "new"}, backbone_of).regions == ("truck",)


def test_a_release_answers_for_the_labels_that_it_brings_alone(tmp_path: Path) -> None:
    problems = {"custom_labels helmets/1": "a", "custom_labels yard": "b", "labels.face": "c"}
    version = a_version(tmp_path, space=SPACE_NAME)
    brought = [shipped(version, Labels(tmp_path), ReleaseStore(tmp_path))]
    assert blamed(problems, brought).keys() == {"custom_labels helmets/1", "labels.face"}
    assert blamed(problems, []).keys() == {"labels.face"}


def test_the_drawn_probe_is_the_same_everywhere() -> None:
    pattern = labels_trial.pattern()
    assert (
        hashlib.sha256(pattern.data.tobytes()).hexdigest()
        == hashlib.sha256(labels_trial.pattern().data.tobytes()).hexdigest()
    )
    assert pattern.data.std() > 20


def test_a_version_passes_its_own_probe_and_fails_with_a_backbone_that_sees_something_else(tmp_path: Path) -> None:
    store, slots = Labels(tmp_path / "hub"), ReleaseStore(tmp_path)
    version = a_version(tmp_path / "hub", space=SPACE_NAME)
    good = Tools(Backbone())
    probe = labels_trial.golden(version, store, good, labels_trial.pattern(), None)
    assert probe.answers == ("cat",)
    one = shipped(version, store, slots, probe)
    folder = slots.install(Release("r1", 1.0, custom_labels=(one,)))
    labels_trial.attempt(one, folder, good, lambda _: b"")
    with pytest.raises(ModelError, match="another embedding than at its publisher"):
        labels_trial.attempt(one, folder, Tools(Backbone((0, 1, 0, 0))), lambda _: b"")
    wrong = replace(one, probe=replace(probe, answers=("cat", "dog")))
    with pytest.raises(ModelError, match="do not find 'dog' in their probe"):
        labels_trial.attempt(wrong, folder, good, lambda _: b"")


def test_a_version_of_another_runtime_fails_its_trial(tmp_path: Path) -> None:
    store, slots = Labels(tmp_path / "hub"), ReleaseStore(tmp_path)
    version = a_version(tmp_path / "hub", space="other/litert/p1/4")
    one = shipped(version, store, slots)
    folder = slots.install(Release("r1", 1.0, custom_labels=(one,)))
    with pytest.raises(SpaceError, match="expected embeddings"):
        labels_trial.attempt(one, folder, Tools(Backbone()), lambda _: b"")


def test_what_a_detector_calls_a_region_is_a_part_of_what_a_head_sees() -> None:
    vectors = np.eye(3, 4, dtype=np.float32)
    seen = custom_labels.seen(vectors, ["truck", "boat", "car"], ("car", "truck"))
    assert seen.shape == (3, 6)
    assert (seen[:, 4:] > 0).tolist() == [[False, True], [False, False], [True, False]]
    assert custom_labels.seen(vectors, ["", "", ""], ()) is vectors
