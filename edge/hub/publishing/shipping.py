"""What the next release ships: models, custom labels and collections go from this machine into the draft.

A collection travels as segments and tombstones. What the segments lack becomes another segment, what the store lacks
becomes a tombstone, and a segment whose tombstones are older than the limit is written anew without them.
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
"""below the private folder: the models of the draft"""


def ship_model(
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


def extractor(release: Release, label: str, settings: Settings, private: Path) -> FaceExtractor:
    """What devices of ``release`` find and embed ``label`` with. Raises as ``edge.recognition.extraction.load``."""
    from edge.recognition import extraction

    section = settings.labels.get(label)
    named = section.embedder if section else ""
    detectors = dict.fromkeys(name for camera in settings.cameras for name in camera.detectors)
    # the models as they are shipped, not as they may be on this machine by now
    own = settings.models.model_copy(update={"path": (private / SHIPPED, *settings.models.path)})
    return extraction.load(
        settings.model_copy(update={"models": own}), private, label,
        [release.replaces.get(name, name) for name in detectors], release.replaces.get(named, named),
    )  # fmt: skip


def ship_labels(publisher: ReleasePublisher, name: str, state: Path, probe: Path | None = None) -> ShippedLabels:
    """Put a version of the labels in ``state`` into the draft, in the place of an older one of its name.

    Raises NotFoundError, InputError for a probe that is no picture, SpaceError for a backbone that has changed since.
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
    """The embedder that the version was learned on travels with it. Raises SpaceError where it is another by now."""
    model = next((one for one in publisher.draft().release.models if one.name == version.base), None)
    model = model or publisher.add_model(version.base)
    if version.space.partition("/")[0] not in {blob.sha256[:16] for blob in model.files.values()}:
        raise SpaceError(
            f"labels {version.name!r} version {version.number} were made in {version.space}, "
            f"which {version.base!r} does not give",
            "train them again",
            code="space",
        )


def update_collection(draft: Draft, collection: Collection, repository: Repository, compact_days: float) -> None:
    """Make the draft's picture of ``collection`` say what the store holds; new segments go into the repository."""
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
    """Raises SpaceError: a collection travels only with the embedder that made it, or without any."""
    shipped = {one.name: one for one in release.collections}
    for label, name in release.labels.items():
        named = settings.labels[label].embedder if label in settings.labels else ""
        model = next((m for m in release.models if m.name == release.replaces.get(named, named)), None)
        if model is None or name not in shipped:
            continue
        digests = [blob.sha256[:16] for blob in model.files.values()]
        if shipped[name].space.partition("/")[0] not in digests:
            raise SpaceError(
                f"collection {name!r} was made in {shipped[name].space}, which {model.name!r} does not give",
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
