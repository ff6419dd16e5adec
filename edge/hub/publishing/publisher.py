"""Publishing of releases: adds models and faces to the draft, erases subjects, signs the draft as a release.

Faces are stored in the hub's own collection store; segments are its published form.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.errors import ConflictError, InputError, NotFoundError
from edge.core.subjects import composed
from edge.hub.publishing import draft as drafts
from edge.hub.publishing import offline_signing, seal_release, shipping
from edge.hub.publishing import probes as proving
from edge.hub.publishing.enrollments import PendingEnrollments
from edge.hub.publishing.fleet_keys import FleetKeyStore
from edge.hub.publishing.keys import Keys
from edge.hub.publishing.offline_signing import SigningRequest
from edge.hub.publishing.repository import Repository
from edge.recognition.recorded_embedder import with_recorded_embedders
from edge.releases.manifest import (
    MOST,
    Blob,
    Deployment,
    ErasedSubject,
    Probe,
    ProbeBox,
    Release,
    ShippedModel,
    parse,
    subject_digest,
    to_bytes,
)
from edge.releases.sealing import opened

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.hub.publishing.seal_release import PreparedRelease
    from edge.recognition.enrollment import Outcome
    from edge.recognition.extraction import FaceExtractor
    from edge.recognition.store.collections import Collections

PULLED = "waiting enrolments"
COMPACT_DAYS = 7.0
"""days after which segments are rewritten without the faces of erased subjects"""


@dataclass(frozen=True, slots=True)
class PublishedRelease:
    """A release, and what a device with the previous release downloads for it."""

    release: Release
    new_blobs: dict[str, int]
    """sha256 -> size of the download (bytes)"""
    manifest_bytes: int
    written: bool
    """False: dry run"""

    @property
    def fetched(self) -> int:
        """Total download (bytes)."""
        return sum(self.new_blobs.values()) + self.manifest_bytes


@dataclass(frozen=True, slots=True)
class _ReleasePlan:
    """A release that could be signed now."""

    draft: drafts.Draft
    prepared: PreparedRelease
    published: tuple[Release, ...]
    """oldest first"""

    def told(self, *, written: bool) -> PublishedRelease:
        """What a device with the latest release downloads for it."""
        old = self.published[-1].blobs() if self.published else {}
        new = {sha256: size for sha256, size in self.prepared.served().items() if sha256 not in old}
        return PublishedRelease(self.prepared.whole, new, self.prepared.manifest_bytes, written=written)


class ReleasePublisher:
    """Publisher in one hub's folder. One process at a time; only ``forget`` is safe alongside (``edge hub ingest``)."""

    def __init__(self, folder: Path, settings: Settings, offline: Path | None = None) -> None:
        self.folder = folder
        self.private = folder / "private"
        self.repository = Repository(folder, Keys(folder / "keys" / "online", offline or folder / "keys" / "offline"))
        self.fleet_keys = FleetKeyStore(self.repository.keys.online, self.repository.public)
        self.settings = with_recorded_embedders(settings, self.private)

    def init(self) -> Path:
        """Create an empty repository with sealing on. Returns the path of the first root.json, which devices need."""
        root = self.repository.init()
        self.fleet_keys.switch(enabled=True)
        return root

    def opened(self) -> ReleasePublisher:
        """Returns itself. Raises NotFoundError where there is no repository."""
        if not self.repository.exists:
            raise NotFoundError(
                f"{self.folder}: there is no repository", "set hub.repository, or create one with 'edge hub init'"
            )
        return self

    def draft(self) -> drafts.Draft:
        return drafts.read(self.private)

    def changing(self) -> AbstractContextManager[drafts.Draft]:
        return drafts.changing(self.private)

    def collections(self) -> Collections:
        """The hub's collection store. The caller closes it."""
        from edge.recognition.store.collections import Collections

        return Collections(self.private, self.settings.collection, maintain=False)

    def add_model(self, name: str, takes_place_of: str = "") -> ShippedModel:
        """Add a local model to the draft. ``takes_place_of``: the model of the devices' settings that it replaces.

        Raises NotFoundError, ModelError.
        """
        with self.changing() as draft:
            return shipping.ship_model(draft, name, takes_place_of, self.repository, self.settings, self.private)

    def finder(self, label: str) -> FaceExtractor:
        """Extractor of ``label`` with the models of the next release. Raises as ``extraction.load``."""
        return shipping.extractor(self.draft().release, label, self.settings, self.private)

    def add_collection(self, name: str, pictures: Path, label: str, subject: str | None = None) -> Iterator[Outcome]:
        """Enroll pictures into a collection of the draft; yields one outcome per picture.

        With another embedder than before, the collection is recreated. Raises InputError, ModelError.
        """
        from edge.recognition.enrollment import enroll_images, planned

        plan = planned(pictures, subject)
        finder = self.finder(label)
        with self.collections() as collections:
            there = collections.get_or_create(name)
            if there.count and there.space != finder.embedder.space.fingerprint:
                collections.delete(name)
                there = collections.create(name)
            yield from enroll_images(plan, finder, there)
        with self.changing() as draft:
            draft.use(name, label)

    def take_in(self, export: Path, label: str) -> tuple[str, int]:
        """Import an export of a device. Returns the collection's name and the number of new faces."""
        from edge.recognition.store import export as portable

        manifest = portable.read_manifest(export)
        with self.collections() as collections:
            added = portable.import_into(collections.get_or_create(manifest.collection), export).added
        with self.changing() as draft:
            draft.use(manifest.collection, label)
        return manifest.collection, added

    def add_probe(self, path: Path, label: str) -> Probe:
        """Add a golden probe: devices must reproduce the current detections in this picture.

        Raises InputError (code ``no_face``) where nothing is detected.
        """
        from edge.core.imaging import image as pictures

        finder = self.finder(label)
        found = finder.detect(pictures.read(path))
        if not found:
            raise InputError(f"{path}: no {label} was detected", "choose a picture that shows one", code="no_face")
        boxes = tuple(
            ProbeBox(one.label, (one.box.left, one.box.top, one.box.right, one.box.bottom)) for one in found[:4]
        )
        probe = Probe(self.repository.put_private_blob(path.read_bytes()), finder.detectors[0].card.name, boxes)
        with self.changing() as draft:
            others = tuple(one for one in draft.release.probes if one.picture != probe.picture)
            draft.release = replace(draft.release, probes=(*others, probe))
        return probe

    def add_taxonomy(self, path: Path) -> Blob:
        """Add names, parents and categories of labels for the Rekognition endpoints. Raises InputError."""
        data = path.read_bytes()
        try:
            json.loads(data)
        except ValueError as error:
            raise InputError(f"{path}: invalid JSON: {error}", "see api.taxonomy", code="taxonomy") from error
        blob = self.repository.put_blob(data)
        with self.changing() as draft:
            draft.release = replace(draft.release, taxonomy=blob)
        return blob

    def subjects(self) -> set[str]:
        """All subjects in collections and in pending enrollments."""
        with self.collections() as collections, closing(PendingEnrollments(self.private)) as waiting:
            found = {subject for name in collections.names() for subject in collections.get(name).subjects()}
            return found | waiting.subjects()

    def forget(self, subject: str) -> dict[str, int]:
        """Erase a subject from all collections, the draft and pending enrollments.

        Returns the number of deleted faces per collection. The next release erases the subject on the devices.
        """
        gone: dict[str, int] = {}
        now = time.time()
        subject = composed(subject)
        with self.changing() as draft, self.collections() as collections:
            for name in collections.names():
                if faces := collections.get(name).delete_subject(subject):
                    gone[name] = len(faces)
                if shipped := draft.collection(name):
                    digest = subject_digest(name, subject)
                    others = tuple(one for one in shipped.forgotten if one.digest != digest)
                    draft.put(replace(shipped, forgotten=(*others, ErasedSubject(digest, now))))
        with closing(PendingEnrollments(self.private)) as waiting:
            if count := waiting.forget(subject):
                gone[PULLED] = count
        return gone

    def publish(self, dry: bool = False, compact_days: float = COMPACT_DAYS, minimum: str = "") -> PublishedRelease:
        """Sign the draft as a release, for devices of edge ``minimum`` or newer.

        Raises ConflictError where nothing changed, SpaceError, ReleaseError.
        """
        plan = self._plan(compact_days, minimum)
        if not dry:
            proving.prove(plan.prepared.whole, self.repository, self.private, self.settings)
            contents, outdated = self._stored(plan)
            self.repository.add_targets("targets", contents, remove=outdated)
            self._finish(plan.draft)
        return plan.told(written=not dry)

    def request_signature(self, compact_days: float = COMPACT_DAYS, minimum: str = "") -> SigningRequest:
        """Everything of ``publish`` but the signature: the file to sign elsewhere, with the targets key.

        Raises as ``publish``.
        """
        plan = self._plan(compact_days, minimum)
        proving.prove(plan.prepared.whole, self.repository, self.private, self.settings)
        contents, outdated = self._stored(plan)
        to_sign = self.repository.unsigned_targets(contents, remove=outdated)
        request = SigningRequest(plan.prepared.whole.id, to_sign, plan.draft)
        offline_signing.keep(self.private, request)
        return request

    def take_signature(self, signed: bytes) -> Release:
        """Publish the release of ``request_signature`` with its signature.

        Raises NotFoundError, ConflictError or InputError for a file that is not the one that was asked for.
        """
        request = offline_signing.matching(self.private, signed)
        self.repository.take_targets(signed)
        self._finish(request.draft)
        offline_signing.drop(self.private)
        return self.release(request.release)

    def _plan(self, compact_days: float, minimum: str) -> _ReleasePlan:
        draft = self.draft()
        if minimum:
            draft.release = replace(draft.release, minimum=minimum)
        published = self.releases()
        before = published[-1] if published else None
        with self.collections() as collections:
            for name in sorted({*draft.release.labels.values(), *(one.name for one in draft.release.collections)}):
                shipping.update_collection(draft, collections.get_or_create(name), self.repository, compact_days)
        shipping.check_spaces(draft.release, self.settings)
        erasures = before.erasure if before else 0
        forgotten = [one.forgotten for one in draft.release.collections if one.forgotten]
        if before and forgotten != [one.forgotten for one in before.collections if one.forgotten]:
            erasures += 1
        release = replace(
            draft.release, id=drafts.next_id([one.id for one in published]), created=round(time.time(), 3),
            erasure=erasures, probes=proving.expected(draft.release, self.repository, self.finder),
        )  # fmt: skip
        prepared = seal_release.prepare(release, self.fleet_keys.key, self.repository, before)
        if before and _contents(prepared.whole) == _contents(before):
            raise ConflictError(f"nothing has changed since release {before.id}", "edge hub add, or edge hub rollout")
        if (size := len(to_bytes(prepared.whole))) > MOST:
            raise InputError(f"the manifest has {size} bytes, limit {MOST}", "compact it with --compact-days 0")
        return _ReleasePlan(draft, prepared, tuple(published))

    def release(self, release: str) -> Release:
        """A published release, decrypted. Raises NotFoundError."""
        public = self._public(release)
        if public.sealing is None or public.sealing.manifest is None:
            return public
        sealed = (self.repository.blobs / public.sealing.manifest.sha256).read_bytes()
        return opened(public, sealed, self.fleet_keys.ring())

    def deployment(self, group: str) -> Deployment | None:
        """The published deployment of a group; None: there is none."""
        data = self.repository.target("deploy", f"deploy/{group}.json")
        return None if data is None else parse(Deployment, data)

    def deployments(self) -> list[Deployment]:
        return [found for name in self.repository.targets("deploy") if (found := self.deployment(Path(name).stem))]

    def deploy(self, deployment: Deployment) -> Deployment:
        """Sign and publish a deployment with the next number. Needs only the online keys."""
        before = self.deployment(deployment.group)
        numbered = replace(deployment, number=before.number + 1 if before else 1)
        self.repository.add_targets("deploy", {f"deploy/{numbered.group}.json": to_bytes(numbered)})
        return numbered

    def _public(self, release: str) -> Release:
        data = self.repository.target("targets", f"releases/{release}.json")
        if data is None:
            raise NotFoundError(f"unknown release {release!r}", "publish one with 'edge hub publish'")
        return parse(Release, data)

    def releases(self) -> list[Release]:
        """The published releases, decrypted, oldest first."""
        found = [self.release(Path(name).stem) for name in self.repository.targets("targets")]
        return sorted(found, key=lambda one: one.created)

    def _stored(self, plan: _ReleasePlan) -> tuple[dict[str, bytes], tuple[str, ...]]:
        """Store the files of a release; returns the manifest to sign, and the manifests that it withdraws.

        Withdrawn are releases from before an erasure, and unsealed ones if it is sealed.
        """
        release = plan.prepared.whole
        outdated = tuple(
            f"releases/{one.id}.json"
            for one in plan.published
            if one.erasure < release.erasure or (release.sealing and seal_release.is_readable(one))
        )
        for data in plan.prepared.files.values():
            self.repository.put_blob(data)
        return {f"releases/{release.id}.json": to_bytes(plan.prepared.public)}, outdated

    def _finish(self, draft: drafts.Draft) -> None:
        with self.changing() as latest:
            latest.take_over(draft)
        self._tidy()

    def _tidy(self) -> None:
        """Delete files that no published release or draft references, and unused fleet keys."""
        draft = self.draft().release
        needed, private = draft.blobs().keys() - draft.private().keys(), set(draft.private())
        keys = set()
        for release in self.releases():
            needed |= seal_release.served_blobs(release, self._public(release.id))
            keys |= {release.sealing.key} if release.sealing else set()
        self.repository.keep_blobs(needed, private)
        self.fleet_keys.retire(keys)


def _contents(release: Release) -> bytes:
    return to_bytes(replace(release, id="x", created=0.0))
