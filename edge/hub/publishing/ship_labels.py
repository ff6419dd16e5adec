"""Custom labels of the next release: a version that was trained here, with its backbone and what it must say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.errors import SpaceError
from edge.core.imaging import image as pictures
from edge.hub.publishing.ship_models import SHIPPED
from edge.labels.store import Labels
from edge.releases import label_verification as labels_trial
from edge.releases.manifest import ShippedLabels
from edge.releases.verification import ModelTools, Place

if TYPE_CHECKING:
    from edge.hub.publishing.publisher import ReleasePublisher
    from edge.labels.version import Version


def ship(desk: ReleasePublisher, name: str, state: Path, probe: Path | None = None) -> ShippedLabels:
    """Put a version of the labels in ``state`` into the draft, in the place of an older one of its name.

    Raises NotFoundError, InputError for a probe that is no picture, SpaceError for a backbone that has changed since.
    """
    label, _, number = name.partition("/")
    store = Labels(state)
    version = store.version(label, int(number) if number.isdigit() else None)
    picture = pictures.read(probe) if probe else None
    files = {file: desk.repository.put_blob(data) for file, data in store.files(version).items()}
    _add_backbone(desk, version)
    blob = desk.repository.put_private_blob(probe.read_bytes()) if probe else None
    own = desk.settings.models.model_copy(
        update={"path": (desk.private / SHIPPED, *desk.settings.models.path), "threads": 1}
    )
    tools = ModelTools(Place(desk.private, desk.repository.private_blobs, desk.private), own)
    golden = labels_trial.golden(version, store, tools, picture, blob)
    shipped = ShippedLabels(label, version.number, version.space, files, golden)
    with desk.changing() as draft:
        others = tuple(one for one in draft.release.custom_labels if one.name != label)
        draft.release = replace(draft.release, custom_labels=(*others, shipped))
    return shipped


def _add_backbone(desk: ReleasePublisher, version: Version) -> None:
    """The embedder that the version was learned on travels with it. Raises SpaceError where it is another by now."""
    model = next((one for one in desk.draft().release.models if one.name == version.base), None)
    model = model or desk.add_model(version.base)
    if version.space.partition("/")[0] not in {blob.sha256[:16] for blob in model.files.values()}:
        raise SpaceError(
            f"labels {version.name!r} version {version.number} were made in {version.space}, "
            f"which {version.base!r} does not give",
            "train them again",
            code="space",
        )
