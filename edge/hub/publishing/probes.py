"""Golden probes of a release, and its verification at the hub before it is signed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.imaging import image as pictures
from edge.core.types import Box
from edge.hub.publishing.repository import Repository
from edge.releases import verification as release_trial
from edge.releases.manifest import Probe, Release
from edge.releases.release_store import ReleaseStore

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.core.types import Detection
    from edge.recognition.extraction import FaceExtractor


def expected(release: Release, repository: Repository, finder_of: Callable[[str], FaceExtractor]) -> tuple[Probe, ...]:
    """The probes with reference embeddings from this release's models.

    ``finder_of``: label -> extractor with these models. Raises NotFoundError, ModelError.
    """
    made = []
    for probe in release.probes:
        finder = finder_of(probe.boxes[0].label)
        picture = pictures.read(repository.private_blob(probe.picture.sha256))
        found = finder.detect(picture)
        embeddings = {}
        if found:
            vector = finder.embedder.embed(picture, [_hit(probe, found)])[0].vector
            embeddings = {finder.embedder.card.name: tuple(round(float(x), 5) for x in vector)}
        made.append(replace(probe, detector=finder.detectors[0].card.name, embeddings=embeddings))
    return tuple(made)


def prove(release: Release, repository: Repository, private: Path, settings: Settings) -> None:
    """Run the verification that every device runs before activation. Raises ReleaseError."""
    slots = ReleaseStore(private)
    slots.blobs = repository.blobs
    slots.prepare()
    shutil.rmtree(slots.path(release.id), ignore_errors=True)
    folder = slots.install(release)
    embedders = {name: label.embedder for name, label in settings.labels.items() if label.embedder}
    try:
        release_trial.attempt(
            release_trial.Place(folder, repository.private_blobs, private), settings.models, embedders
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _hit(probe: Probe, found: Sequence[Detection]) -> Detection:
    wanted = Box(*probe.boxes[0].box)
    return max(found, key=lambda one: one.box.iou(wanted))
