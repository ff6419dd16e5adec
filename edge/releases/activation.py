"""Activation of a release: the resulting settings, and its collections in the store.

Faces of a release have the origin ``hub`` and are stored beside faces enrolled on the device; hub faces that the active
release does not contain are deleted. A face is identified by its FaceId, and keeps its first origin.

A collection of another embedding space is prepared under another name (``staff.<space>``) and replaces the old one by a
rename; the old one keeps its faces for a rollback.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.errors import ConflictError, NotFoundError, ReleaseError, StoreError
from edge.recognition.recorded_embedder import with_recorded_embedders
from edge.releases.manifest import Release, ShippedCollection, subject_digest
from edge.releases.release_store import TAXONOMY

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.core.settings.vision import ModelSettings
    from edge.recognition.store.collection import Collection
    from edge.recognition.store.collections import Collections
    from edge.recognition.store.segments import Entry
    from edge.releases.release_store import ReleaseStore
    from edge.releases.update_state import UpdateState

APPLIED = "release"
"""key in the store's ``meta``: digest of the release whose collections it holds"""
PIECE = 1000

log = logging.getLogger(__name__)

Step = Callable[[int], None]


def models_of(models: ModelSettings, folder: Path) -> ModelSettings:
    """``models`` with the models of a release first."""
    return models.model_copy(update={"path": (folder / "models", *models.path)})


def settings_of(settings: Settings, release: Release, folder: Path) -> Settings:
    """The effective settings under a release: its models first, its collections for its labels.

    Replaced models are replaced by name in cameras and labels.
    """
    labels = {
        name: label.model_copy(
            update={
                "embedder": release.replaces.get(label.embedder, label.embedder),
                "collection": release.labels.get(name, label.collection),
            }
        )
        if label.embedder
        else label
        for name, label in settings.labels.items()
    }
    cameras = tuple(
        camera.model_copy(update={"detectors": tuple(release.replaces.get(name, name) for name in camera.detectors)})
        for camera in settings.cameras
    )
    changed: dict[str, object] = {
        "labels": labels, "cameras": cameras, "models": models_of(settings.models, folder),
    }  # fmt: skip
    if release.taxonomy:
        changed["api"] = settings.api.model_copy(update={"taxonomy": folder / TAXONOMY})
    return settings.model_copy(update=changed)


def in_force(settings: Settings, state: Path) -> Settings:
    """The effective settings under the active release; unchanged where there is none, or it cannot be read."""
    active = _active(state)
    return with_recorded_embedders(settings_of(settings, *active), state) if active else settings


def replaced_models(state: Path) -> Mapping[str, str]:
    """Model in the settings -> model of the active release that replaces it."""
    active = _active(state)
    return active[0].replaces if active else {}


def _active(state: Path) -> tuple[Release, Path] | None:
    """The active release and its folder; None where there is none, or it cannot be read: the daemon reports that."""
    from edge.releases.release_store import ReleaseStore

    store = ReleaseStore(state)
    current = store.current
    if not current:
        return None
    try:
        return store.manifest(current), store.path(current)
    except (NotFoundError, StoreError):
        return None


def prepare(
    collections: Collections, release: Release, store: ReleaseStore, updates: UpdateState, step: Step = lambda _: None
) -> dict[str, str]:
    """Update the store to the collections of a release, with progress per batch of faces.

    Returns the collections to rename at activation: name -> name under which it was prepared. Can be repeated after any
    interruption.
    """
    digest = hashlib.sha256(repr(release).encode()).hexdigest()
    renames: dict[str, str] = {}
    done = _applied(collections) == digest
    if not done:
        _remember(collections, "changing")  # after an interruption, everything is repeated
    for shipped in release.collections:
        name = _place(collections, shipped)
        if name != shipped.name:
            renames[shipped.name] = name
        if not done or renames:
            _fill(collections.get_or_create(name), shipped, store, updates, step)
    if not renames:
        _remember(collections, digest)
    return renames


def swap(collections: Collections, renames: dict[str, str]) -> None:
    """Rename prepared collections to their names; the replaced ones keep their faces under the name of their space."""
    moves = []
    for name, prepared in renames.items():
        if name in collections:
            moves.append((name, _parked(name, collections.get(name).space or "")))
        moves.append((prepared, name))
    if moves:
        collections.rename(moves)


def withdraw(collections: Collections) -> None:
    """Delete the faces of releases, when none is active any more; faces enrolled here stay."""
    if _applied(collections):
        for name in collections.names():
            collection = collections.get(name)
            collection.delete_faces(_surplus(collection, set(), set()))
        _remember(collections, "")


def go_back(store: ReleaseStore, updates: UpdateState, reason: str) -> str:
    """Roll back the current release and mark it as bad; returns the id of the active release, empty for none.

    Raises ReleaseError where that would restore an erased subject.
    """
    bad, good = store.current, store.previous
    if not bad:
        raise ReleaseError("no release is in use", "edge sync fetches one")
    try:
        store.manifest(good)
    except (NotFoundError, StoreError):
        good = ""
    if good and store.manifest(good).erasure < int(updates.get("erasure", 0)):
        raise ReleaseError(
            f"release {good} is older than an erasure: it cannot be used again",
            "publish a new release with the same models",
        )
    updates.put({f"bad {bad}": reason, "good": good or None, "boots": None, "failed": bad})
    if good:
        store.activate(good, "")
    else:
        store.drop_current()
    return good


def commit(store: ReleaseStore, updates: UpdateState) -> None:
    """Commit the current release. After an erasure, the one before it is deleted."""
    current = store.current
    erasure = store.manifest(current).erasure
    erased = erasure > int(updates.get("erasure", 0))
    updates.put({"good": current, "boots": None, "erasure": erasure, "failed": None})
    if erased:
        store.drop_previous()
    try:
        with store.locked():
            store.tidy({current, store.previous})
    except ConflictError:
        log.debug("edge sync is running and deletes unused files at its end: its new files belong to no release yet")


def remember_erasures(release: Release, updates: UpdateState) -> None:
    """Record the erasures of a release; they hold even if the release is rolled back."""
    for shipped in release.collections:
        known = updates.get(f"erased {shipped.name}", {"faces": [], "subjects": {}})
        subjects = known["subjects"] | {one.digest: one.time for one in shipped.forgotten}
        faces = sorted({*known["faces"], *shipped.tombstones})
        if faces or subjects:
            updates.put({f"erased {shipped.name}": {"faces": faces, "subjects": subjects}})


def _place(collections: Collections, shipped: ShippedCollection) -> str:
    """Name for a collection of this space: its own, unless faces of another space have it."""
    if shipped.name not in collections:
        return shipped.name
    there = collections.get(shipped.name)
    if there.space in (None, shipped.space) or not there.count:
        return shipped.name
    return _parked(shipped.name, shipped.space)


def _parked(name: str, space: str) -> str:
    return f"{name[:240]}.{hashlib.sha256(space.encode()).hexdigest()[:8]}"


def _fill(
    collection: Collection, shipped: ShippedCollection, store: ReleaseStore, updates: UpdateState, step: Step
) -> None:
    erased = updates.get(f"erased {shipped.name}", {"faces": [], "subjects": {}})
    gone = {*shipped.tombstones, *erased["faces"]}
    forgotten = erased["subjects"] | {one.digest: one.time for one in shipped.forgotten}
    wanted: set[str] = set()
    for batch in _batches(shipped, store):
        keep = [
            (replace(face, collection=collection.name, origin="hub"), vector)
            for face, vector in batch
            if face.face_id not in gone
            and forgotten.get(subject_digest(shipped.name, face.subject or ""), 0.0) <= face.created
        ]
        wanted |= {face.face_id for face, _ in keep}
        known = collection.known(face.face_id for face, _ in keep)
        new = [(face, vector) for face, vector in keep if face.face_id not in known]
        if new:
            collection.merge(new, shipped.space, shipped.dimensions)
        step(len(batch))
    collection.delete_faces(_surplus(collection, wanted, gone))
    for subject in list(collection.subjects()) if forgotten else []:
        moment = forgotten.get(subject_digest(shipped.name, subject))
        if moment is not None:
            old = [face.face_id for face in collection.faces(limit=1_000_000, subject=subject) if face.created < moment]
            collection.delete_faces(old)


def _batches(shipped: ShippedCollection, store: ReleaseStore) -> Iterator[list[Entry]]:
    from edge.recognition.store import segments

    for one in shipped.segments:
        try:
            data = store.read(one.sha256)
        except OSError as error:
            raise StoreError(f"segment {one.sha256[:12]}: {error.strerror}", "edge sync fetches it again") from error
        if hashlib.sha256(data).hexdigest() != one.sha256:
            store.blob(one.sha256).unlink(missing_ok=True)
            raise StoreError(f"segment {one.sha256[:12]} is damaged on the disk", "edge sync fetches it again")
        faces = segments.unpack(data, shipped.name, shipped.space, shipped.dimensions, one.count)
        for start in range(0, len(faces), PIECE):
            yield faces[start : start + PIECE]


def _surplus(collection: Collection, wanted: set[str], gone: set[str]) -> list[str]:
    """Hub faces that are not in the release, and erased faces of any origin."""
    after, surplus = "", []
    while faces := collection.faces(after, 10_000):
        surplus += [
            face.face_id
            for face in faces
            if face.face_id in gone or (face.origin == "hub" and face.face_id not in wanted)
        ]
        after = faces[-1].face_id
    return surplus


def _applied(collections: Collections) -> str:
    with collections.store.reading() as db:
        row = db.execute("SELECT value FROM meta WHERE key = ?", (APPLIED,)).fetchone()
    return row[0] if row else ""


def _remember(collections: Collections, digest: str) -> None:
    with collections.store.writing() as db:
        db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (APPLIED, digest))
