"""Adds local models, custom labels and collections to the draft of the next release.

A collection is shipped as segments and tombstones: added faces become a new segment, deleted faces become tombstones,
and a segment with tombstones older than a limit is rewritten without them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.errors import SpaceError
from edge.core.imaging import image as pictures
from edge.core.storage import files
from edge.hub.publishing.draft import Draft
from edge.hub.publishing.repository import Repository
from edge.labels.store import Labels
from edge.recognition.store import segments
from edge.releases import label_verification
from edge.releases.manifest import Release, Segment, ShippedCollection, ShippedLabels, ShippedModel
from edge.releases.verification import ModelTools, Place

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.hub.publishing.publisher import ReleasePublisher
    from edge.labels.version import Version
    from edge.recognition.extraction import FaceExtractor
    from edge.recognition.store.collection import Collection
    from edge.recognition.store.segments import Entry

SHIPPED = "shipped"
"""subfolder of the private folder with the models of the draft"""


def ship_model(
    draft: Draft, name: str, takes_place_of: str, repository: Repository, settings: Settings, private: Path
) -> ShippedModel:
    """Add a local model to ``draft``. ``takes_place_of``: the model that it replaces; empty: none.

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
    # also drop the earlier replacement of the same model
    gone = {name, draft.release.replaces.get(takes_place_of, "")}
    kept = tuple(one for one in draft.release.models if one.name not in gone)
    replaces = {**draft.release.replaces, takes_place_of: name} if takes_place_of else draft.release.replaces
    draft.release = replace(draft.release, models=(*kept, shipped), replaces=replaces)
    for key, one in data.items():
        files.write_bytes(private / SHIPPED / name / key, one)
    return shipped


def extractor(release: Release, label: str, settings: Settings, private: Path) -> FaceExtractor:
    """Extractor of ``label`` with the models of ``release``. Raises as ``edge.recognition.extraction.load``."""
    from edge.recognition import extraction

    section = settings.labels.get(label)
    named = section.embedder if section else ""
    detectors = dict.fromkeys(name for camera in settings.cameras for name in camera.detectors)
    # the shipped models come first: the local ones may have changed since
    own = settings.models.model_copy(update={"path": (private / SHIPPED, *settings.models.path)})
    return extraction.load(
        settings.model_copy(update={"models": own}), private, label,
        [release.replaces.get(name, name) for name in detectors], release.replaces.get(named, named),
    )  # fmt: skip


def ship_labels(publisher: ReleasePublisher, name: str, state: Path, probe: Path | None = None) -> ShippedLabels:
    """Add a version of custom labels in ``state`` to the draft; replaces an older version of the same name.

    ``name``: ``LABELS`` or ``LABELS/VERSION``. Raises NotFoundError, InputError for a probe that is not an image,
    SpaceError for a backbone that has changed since.
    """
    label, _, number = name.partition("/")
    store = Labels(state)
    version = store.version(label, int(number) if number.isdigit() else None)
    picture = pictures.read(probe) if probe else None
    blobs = {file: publisher.repository.put_blob(data) for file, data in store.files(version).items()}
    _add_backbone(publisher, version)
    blob = publisher.repository.put_private_blob(probe.read_bytes()) if probe else None
    own = publisher.settings.models.model_copy(
        update={"path": (publisher.private / SHIPPED, *publisher.settings.models.path), "threads": 1}
    )
    tools = ModelTools(Place(publisher.private, publisher.repository.private_blobs, publisher.private), own)
    golden = label_verification.golden(version, store, tools, picture, blob)
    shipped = ShippedLabels(label, version.number, version.space, blobs, golden)
    with publisher.changing() as draft:
        others = tuple(one for one in draft.release.custom_labels if one.name != label)
        draft.release = replace(draft.release, custom_labels=(*others, shipped))
    return shipped


def _add_backbone(publisher: ReleasePublisher, version: Version) -> None:
    """Ship the embedder that the version was trained on. Raises SpaceError where it has changed since."""
    model = next((one for one in publisher.draft().release.models if one.name == version.base), None)
    model = model or publisher.add_model(version.base)
    if version.space.partition("/")[0] not in {blob.sha256[:16] for blob in model.files.values()}:
        raise SpaceError(
            f"labels {version.name!r} version {version.number}: embedding space {version.space} "
            f"does not match model {version.base!r}",
            "train them again",
            code="space",
        )


def update_collection(draft: Draft, collection: Collection, repository: Repository, compact_days: float) -> None:
    """Update segments and tombstones of ``collection`` in the draft; writes new segments to the repository.

    ``compact_days``: age of a tombstone from which its segment is rewritten.
    """
    entries = _entries(collection)
    shipped = draft.collection(collection.name)
    if not entries and shipped is None:
        return
    if shipped is None or (entries and shipped.space != collection.space):
        dimensions = len(entries[0][1])
        fresh = ShippedCollection(collection.name, collection.space or "", dimensions)
        shipped = replace(fresh, forgotten=shipped.forgotten if shipped else ())
    now = time.time()
    inside = {one: _faces_of(shipped, one, repository) for one in shipped.segments}
    known = {face_id for ids in inside.values() for face_id in ids}
    stones = known - {face.face_id for face, _ in entries}
    since = {face_id: draft.since.get(face_id, now) for face_id in stones}
    overdue = {face_id for face_id, moment in since.items() if now - moment >= compact_days * 86400}
    kept = tuple(one for one, ids in inside.items() if not overdue & set(ids))
    rest = {face_id for one in kept for face_id in inside[one]}
    new = [entry for entry in entries if entry[0].face_id not in rest]
    made = tuple(_segment(shipped, part, repository) for part in segments.parts(new))
    draft.since = {**draft.since, **since}
    draft.put(replace(shipped, segments=(*kept, *made), tombstones=tuple(sorted(stones & rest))))


def check_spaces(release: Release, settings: Settings) -> None:
    """Check that each collection is shipped with the embedder that created it, or with none. Raises SpaceError."""
    shipped = {one.name: one for one in release.collections}
    for label, name in release.labels.items():
        named = settings.labels[label].embedder if label in settings.labels else ""
        model = next((m for m in release.models if m.name == release.replaces.get(named, named)), None)
        if model is None or name not in shipped:
            continue
        digests = [blob.sha256[:16] for blob in model.files.values()]
        if shipped[name].space.partition("/")[0] not in digests:
            raise SpaceError(
                f"collection {name!r}: embedding space {shipped[name].space} does not match model {model.name!r}",
                f"edge hub add collection {name} FOLDER embeds the pictures again",
                code="space",
            )


def _entries(collection: Collection) -> list[Entry]:
    everything = collection.everything()
    faces = collection.known(everything.face_ids)
    pairs = zip(everything.face_ids, everything.vectors, strict=True)
    return [(faces[face_id], vector) for face_id, vector in pairs if face_id in faces]


def _faces_of(shipped: ShippedCollection, one: Segment, repository: Repository) -> list[str]:
    data = repository.private_blob(one.sha256).read_bytes()
    found = segments.unpack(data, shipped.name, shipped.space, shipped.dimensions, one.count)
    return [face.face_id for face, _ in found]


def _segment(shipped: ShippedCollection, entries: Sequence[Entry], repository: Repository) -> Segment:
    own = [(replace(face, collection=shipped.name, origin="hub"), vector) for face, vector in entries]
    blob = repository.put_private_blob(segments.pack(shipped.name, shipped.space, own))
    return Segment(blob.sha256, blob.size, len(entries))
