"""The fleet owner's desk: put models and faces into the draft, forget somebody, publish a release.

The hub's own collection store holds the faces; segments are its published picture. Publishing compares the two: what
the segments lack becomes another segment, what the store lacks becomes a tombstone, and a segment whose tombstones
are older than the limit is written anew without them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge import files
from edge.errors import ConflictError, InputError, NotFoundError, SpaceError
from edge.hub.publishing import draft as drafts
from edge.hub.publishing.keys import Keys
from edge.hub.publishing.repository import Repository
from edge.sync.manifest import (
    MOST,
    Blob,
    Deployment,
    Forgotten,
    Probe,
    ProbeBox,
    Release,
    Segment,
    ShippedCollection,
    ShippedModel,
    parse,
    subject_digest,
    to_bytes,
)

if TYPE_CHECKING:
    from edge.collection import Collection, Collections
    from edge.collection.segments import Entry
    from edge.enroll import Outcome
    from edge.finder import Finder
    from edge.settings import Settings
    from edge.types import Detection

SHIPPED = "shipped"
"""below the private folder: the models of the draft"""
COMPACT_DAYS = 7.0
"""days after which the bytes of a forgotten face are gone from the published segments"""


@dataclass(frozen=True, slots=True)
class Published:
    """What a release would bring, or brought, to devices that have the one before."""

    release: Release
    new_blobs: dict[str, int]
    """sha256 -> bytes that they fetch"""
    manifest_bytes: int
    written: bool

    @property
    def fetched(self) -> int:
        return sum(self.new_blobs.values()) + self.manifest_bytes


class Desk:
    """One hub's folder. Not for two processes at once."""

    def __init__(self, folder: Path, settings: Settings, offline: Path | None = None) -> None:
        self.folder = folder
        self.private = folder / "private"
        self.repository = Repository(folder, Keys(folder / "keys" / "online", offline or folder / "keys" / "offline"))
        self._settings = settings

    def opened(self) -> Desk:
        """Itself. Raises NotFoundError where there is no repository."""
        if not self.repository.exists:
            raise NotFoundError(f"{self.folder}: there is no repository", "edge hub init makes one")
        return self

    def draft(self) -> drafts.Draft:
        return drafts.read(self.private)

    def collections(self) -> Collections:
        """The hub's own faces. Close it."""
        from edge.collection import Collections

        return Collections(self.private, self._settings.collection, maintain=False)

    def add_model(self, name: str, takes_place_of: str = "") -> ShippedModel:
        """Put a model of this machine into the draft, in the place of the one that devices' settings name.

        Raises NotFoundError, ModelError.
        """
        from edge.inference import model as models

        folders = models.folders(self._settings.models, self.private)
        found = models.find(name, folders)
        folder = next(entry.folder for entry in models.available(folders) if entry.name == name)
        paths = {"card.toml": folder / "card.toml", found.card.file: found.path}
        if found.card.decoder and found.card.decoder.labels_file:
            paths[found.card.decoder.labels_file] = folder / found.card.decoder.labels_file
        shipped = ShippedModel(name, found.card.kind, {key: self._blob(p.read_bytes()) for key, p in paths.items()})
        draft = self.draft()
        # what took the place of the same model before goes with it
        gone = {name, draft.release.replaces.get(takes_place_of, "")}
        kept = tuple(one for one in draft.release.models if one.name not in gone)
        replaces = {**draft.release.replaces, takes_place_of: name} if takes_place_of else draft.release.replaces
        draft.release = replace(draft.release, models=(*kept, shipped), replaces=replaces)
        self._unpack(shipped)
        drafts.write(self.private, draft)
        return shipped

    def finder(self, label: str) -> Finder:
        """What the devices of the next release will find and embed ``label`` with. Raises as ``edge.finder.load``."""
        from edge import finder

        release = self.draft().release
        section = self._settings.labels.get(label)
        named = section.embedder if section else ""
        detectors = dict.fromkeys(name for camera in self._settings.cameras for name in camera.detectors)
        # the models as they are shipped, not as they may be on this machine by now
        own = self._settings.models.model_copy(update={"path": (self.private / SHIPPED, *self._settings.models.path)})
        settings = self._settings.model_copy(update={"models": own})
        return finder.load(
            settings, self.private, label, [release.replaces.get(name, name) for name in detectors],
            release.replaces.get(named, named),
        )  # fmt: skip

    def add_collection(self, name: str, pictures: Path, label: str, subject: str | None = None) -> Iterator[Outcome]:
        """Embed pictures into a collection of the draft, one outcome a picture.

        With another embedder than before, the collection starts anew in its space. Raises InputError, ModelError.
        """
        from edge.enroll import enroll_images, planned

        plan = planned(pictures, subject)
        finder = self.finder(label)
        with self.collections() as collections:
            there = collections.get_or_create(name)
            if there.count and there.space != finder.embedder.space.fingerprint:
                collections.delete(name)
                there = collections.create(name)
            yield from enroll_images(plan, finder, there)
        draft = self.draft()
        draft.release = replace(draft.release, labels={**draft.release.labels, label: name})
        drafts.write(self.private, draft)

    def take_in(self, export: Path, label: str) -> tuple[str, int]:
        """Faces that a device enrolled and exported, for the whole fleet: the collection and how many were new."""
        from edge.collection import portable

        manifest = portable.read_manifest(export)
        with self.collections() as collections:
            added = portable.import_into(collections.get_or_create(manifest.collection), export).added
        draft = self.draft()
        draft.release = replace(draft.release, labels={**draft.release.labels, label: manifest.collection})
        drafts.write(self.private, draft)
        return manifest.collection, added

    def add_probe(self, path: Path, label: str) -> Probe:
        """Let devices prove themselves with a picture: what the detector finds in it now must be found there."""
        from edge import pictures

        finder = self.finder(label)
        found = finder.detect(pictures.read(path))
        if not found:
            raise InputError(f"{path}: no {label} was found", "choose a picture that shows one", code="no_face")
        boxes = tuple(
            ProbeBox(one.label, (one.box.left, one.box.top, one.box.right, one.box.bottom)) for one in found[:4]
        )
        probe = Probe(self._blob(path.read_bytes()), self._detector(found[0].label), boxes)
        draft = self.draft()
        others = tuple(one for one in draft.release.probes if one.picture != probe.picture)
        draft.release = replace(draft.release, probes=(*others, probe))
        drafts.write(self.private, draft)
        return probe

    def add_taxonomy(self, path: Path) -> Blob:
        """Names, parents and categories of labels for the Rekognition endpoints of all devices."""
        data = path.read_bytes()
        try:
            json.loads(data)
        except ValueError as error:
            raise InputError(f"{path}: is not JSON: {error}", "see api.taxonomy", code="taxonomy") from error
        draft = self.draft()
        draft.release = replace(draft.release, taxonomy=self._blob(data))
        drafts.write(self.private, draft)
        assert draft.release.taxonomy is not None  # noqa: S101
        return draft.release.taxonomy

    def forget(self, subject: str) -> dict[str, int]:
        """Remove a subject from every collection: collection -> faces. The next release tells the devices."""
        gone: dict[str, int] = {}
        now = time.time()
        draft = self.draft()
        with self.collections() as collections:
            for name in collections.names():
                if faces := collections.get(name).delete_subject(subject):
                    gone[name] = len(faces)
                if shipped := draft.collection(name):
                    digest = subject_digest(name, subject)
                    others = tuple(one for one in shipped.forgotten if one.digest != digest)
                    draft.put(replace(shipped, forgotten=(*others, Forgotten(digest, now))))
        drafts.write(self.private, draft)
        return gone

    def publish(self, dry: bool = False, compact_days: float = COMPACT_DAYS, minimum: str = "") -> Published:
        """Sign the draft as a release, for devices of edge ``minimum`` or newer.

        Raises ConflictError where nothing changed, SpaceError, ReleaseError.
        """
        draft = self.draft()
        if minimum:
            draft.release = replace(draft.release, minimum=minimum)
        published = self._releases()
        before = published[-1] if published else None
        with self.collections() as collections:
            for name in sorted({*draft.release.labels.values(), *(one.name for one in draft.release.collections)}):
                self._bring_up(draft, collections.get_or_create(name), compact_days)
        self._check_spaces(draft.release)
        erasures = before.erasure if before else 0
        forgotten = [one.forgotten for one in draft.release.collections if one.forgotten]
        if before and forgotten != [one.forgotten for one in before.collections if one.forgotten]:
            erasures += 1
        names = [name.removeprefix("releases/").removesuffix(".json") for name in self.repository.targets("targets")]
        release = replace(
            draft.release, id=drafts.next_id(names), created=round(time.time(), 3), erasure=erasures,
            probes=self._expected(draft.release),
        )  # fmt: skip
        if before and to_bytes(replace(release, id="x", created=0.0)) == to_bytes(replace(before, id="x", created=0.0)):
            raise ConflictError(f"nothing has changed since release {before.id}", "edge hub add, or edge hub rollout")
        old = before.blobs() if before else {}
        new = {sha256: size for sha256, size in release.blobs().items() if sha256 not in old}
        data = to_bytes(release)
        if len(data) > MOST:
            raise InputError(f"the manifest has {len(data)} bytes, more than {MOST}", "compact: --compact-days 0")
        if not dry:
            self._prove(release)
            outdated = tuple(f"releases/{one.id}.json" for one in published if one.erasure < release.erasure)
            self.repository.add_targets("targets", {f"releases/{release.id}.json": data}, remove=outdated)
            drafts.write(self.private, draft)
            self._tidy()
        return Published(release, new, len(data), written=not dry)

    def release(self, release: str) -> Release:
        """A published release. Raises NotFoundError."""
        data = self.repository.target("targets", f"releases/{release}.json")
        if data is None:
            raise NotFoundError(f"there is no release {release!r}", "edge hub publish makes one")
        return parse(Release, data)

    def deployment(self, group: str) -> Deployment | None:
        data = self.repository.target("deploy", f"deploy/{group}.json")
        return None if data is None else parse(Deployment, data)

    def deployments(self) -> list[Deployment]:
        names = [name.removeprefix("deploy/").removesuffix(".json") for name in self.repository.targets("deploy")]
        return [found for name in names if (found := self.deployment(name))]

    def deploy(self, deployment: Deployment) -> Deployment:
        """Publish a deployment, numbered after the one before. Needs the online keys alone."""
        before = self.deployment(deployment.group)
        numbered = replace(deployment, number=before.number + 1 if before else 1)
        self.repository.add_targets("deploy", {f"deploy/{numbered.group}.json": to_bytes(numbered)})
        return numbered

    def _detector(self, label: str) -> str:
        """Name of the first detector of the next release that finds ``label``."""
        return self.finder(label).detectors[0].card.name

    def _unpack(self, shipped: ShippedModel) -> None:
        """Make a model of the draft one that can be loaded by its name."""
        for name, blob in shipped.files.items():
            data = (self.repository.blobs / blob.sha256).read_bytes()
            files.write_bytes(self.private / SHIPPED / shipped.name / name, data)

    def _releases(self) -> list[Release]:
        names = [name.removeprefix("releases/").removesuffix(".json") for name in self.repository.targets("targets")]
        return sorted((self.release(name) for name in names), key=lambda one: one.created)

    def _bring_up(self, draft: drafts.Draft, collection: Collection, compact_days: float) -> None:
        """The draft's segments and tombstones, so that they say what the store holds."""
        everything = collection.everything()
        faces = collection.known(everything.face_ids)
        entries = [
            (faces[face_id], vector)
            for face_id, vector in zip(everything.face_ids, everything.vectors, strict=True)
            if face_id in faces
        ]
        shipped = draft.collection(collection.name)
        space = collection.space or ""
        if not entries and shipped is None:
            return
        if shipped is None or (entries and shipped.space != space):
            fresh = ShippedCollection(collection.name, space, everything.vectors.shape[1])
            shipped = replace(fresh, forgotten=shipped.forgotten if shipped else ())
        now = time.time()
        inside = {one: self._faces_of(shipped, one) for one in shipped.segments}
        known = {face_id for ids in inside.values() for face_id in ids}
        stones = known - faces.keys()
        since = {face_id: draft.since.get(face_id, now) for face_id in stones}
        overdue = {face_id for face_id, moment in since.items() if now - moment >= compact_days * 86400}
        kept = tuple(one for one, ids in inside.items() if not overdue & set(ids))
        rest = {face_id for one in kept for face_id in inside[one]}
        new = [entry for entry in entries if entry[0].face_id not in rest]
        segments = (*kept, *(self._segment(collection.name, shipped.space, part) for part in _parts(new)))
        shipped = replace(shipped, segments=segments, tombstones=tuple(sorted(stones & rest)))
        draft.since = {**draft.since, **since}
        draft.put(shipped)

    def _faces_of(self, shipped: ShippedCollection, one: Segment) -> list[str]:
        from edge.collection import segments

        data = (self.repository.blobs / one.sha256).read_bytes()
        found = segments.unpack(data, shipped.name, shipped.space, shipped.dimensions, one.count)
        return [face.face_id for face, _ in found]

    def _segment(self, name: str, space: str, entries: Sequence[Entry]) -> Segment:
        from edge.collection import segments

        own = [(replace(face, collection=name, origin="hub"), vector) for face, vector in entries]
        blob = self._blob(segments.pack(name, space, own))
        return Segment(blob.sha256, blob.size, len(entries))

    def _check_spaces(self, release: Release) -> None:
        """A collection travels only with the embedder that made it, or without any."""
        shipped = {one.name: one for one in release.collections}
        for label, name in release.labels.items():
            named = self._settings.labels[label].embedder if label in self._settings.labels else ""
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

    def _expected(self, release: Release) -> tuple[Probe, ...]:
        """The probes with what this release's embedders make of them."""
        from edge import pictures

        made = []
        for probe in release.probes:
            label = probe.boxes[0].label
            finder = self.finder(label)
            picture = pictures.read(self.repository.blobs / probe.picture.sha256)
            found = finder.detect(picture)
            detector = self._detector(label)
            embeddings = {}
            if found:
                vector = finder.embedder.embed(picture, [_hit(probe, found)])[0].vector
                embeddings = {finder.embedder.card.name: tuple(round(float(x), 5) for x in vector)}
            made.append(replace(probe, detector=detector, embeddings=embeddings))
        return tuple(made)

    def _prove(self, release: Release) -> None:
        """The same trial that every device makes. Raises ReleaseError."""
        import shutil

        from edge import release_trial
        from edge.sync.slots import Slots

        slots = Slots(self.private)
        slots.blobs = self.repository.blobs
        slots.prepare()
        shutil.rmtree(slots.path(release.id), ignore_errors=True)
        folder = slots.install(release)
        embedders = {name: label.embedder for name, label in self._settings.labels.items() if label.embedder}
        place = release_trial.Place(folder, self.repository.blobs, self.private)
        try:
            release_trial.attempt(place, self._settings.models, embedders)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _blob(self, data: bytes) -> Blob:
        digest = hashlib.sha256(data).hexdigest()
        path = self.repository.blobs / digest
        if not path.exists():
            files.write_bytes(path, data, mode=0o644)
        return Blob(digest, len(data))

    def _tidy(self) -> None:
        """Delete what neither a published release nor the draft names."""
        needed = set(self.draft().release.blobs())
        for release in self._releases():
            needed |= release.blobs().keys()
        for path in self.repository.blobs.iterdir():
            if path.name not in needed:
                path.unlink()


def _parts(entries: list[Entry]) -> Iterable[Sequence[Entry]]:
    from edge.collection import segments

    return segments.parts(entries)


def _hit(probe: Probe, found: Sequence[Detection]) -> Detection:
    from edge.types import Box

    wanted = Box(*probe.boxes[0].box)
    return max(found, key=lambda one: one.box.iou(wanted))
