"""A collection as segments and tombstones, brought up to date with the hub's own store.

What the segments lack becomes another segment, what the store lacks becomes a tombstone, and a segment whose
tombstones are older than the limit is written anew without them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edge.core.errors import SpaceError
from edge.hub.publishing.draft import Draft
from edge.hub.publishing.repository import Repository
from edge.recognition.store import segments
from edge.releases.manifest import Release, Segment, ShippedCollection

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.recognition.store.collection import Collection
    from edge.recognition.store.segments import Entry


def bring_up(draft: Draft, collection: Collection, repository: Repository, compact_days: float) -> None:
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
