"""The models of the next release: its own copies of their files, and what they find and embed at the hub."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.storage import files
from edge.hub.publishing.draft import Draft
from edge.hub.publishing.repository import Repository
from edge.releases.manifest import Release, ShippedModel

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.recognition.extraction import FaceExtractor

SHIPPED = "shipped"
"""below the private folder: the models of the draft"""


def ship(
    draft: Draft, name: str, takes_place_of: str, repository: Repository, settings: Settings, private: Path
) -> ShippedModel:
    """Put a model of this machine into ``draft``, in the place of ``takes_place_of`` where that is named.

    Raises NotFoundError, ModelError.
    """
    from edge.inference import model as models

    folders = models.folders(settings.models, private)
    found = models.find(name, folders)
    folder = next(entry.folder for entry in models.available(folders) if entry.name == name)
    paths = {"card.toml": folder / "card.toml", found.card.file: found.path}
    if found.card.decoder and found.card.decoder.labels_file:
        paths[found.card.decoder.labels_file] = folder / found.card.decoder.labels_file
    if found.card.cohort:
        paths[found.card.cohort.file] = folder / found.card.cohort.file
    data = {key: path.read_bytes() for key, path in paths.items()}
    shipped = ShippedModel(name, found.card.kind, {key: repository.put_blob(one) for key, one in data.items()})
    # what took the place of the same model before goes with it
    gone = {name, draft.release.replaces.get(takes_place_of, "")}
    kept = tuple(one for one in draft.release.models if one.name not in gone)
    replaces = {**draft.release.replaces, takes_place_of: name} if takes_place_of else draft.release.replaces
    draft.release = replace(draft.release, models=(*kept, shipped), replaces=replaces)
    for key, one in data.items():
        files.write_bytes(private / SHIPPED / name / key, one)
    return shipped


def finder(release: Release, label: str, settings: Settings, private: Path) -> FaceExtractor:
    """What devices of ``release`` find and embed ``label`` with. Raises as ``edge.recognition.extraction.load``."""
    from edge.recognition import extraction as finder

    section = settings.labels.get(label)
    named = section.embedder if section else ""
    detectors = dict.fromkeys(name for camera in settings.cameras for name in camera.detectors)
    # the models as they are shipped, not as they may be on this machine by now
    own = settings.models.model_copy(update={"path": (private / SHIPPED, *settings.models.path)})
    return finder.load(
        settings.model_copy(update={"models": own}), private, label,
        [release.replaces.get(name, name) for name in detectors], release.replaces.get(named, named),
    )  # fmt: skip
