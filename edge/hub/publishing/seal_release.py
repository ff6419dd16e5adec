"""Published form of a release: sealed (encrypted) for the fleet, or in plain text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edge.hub.publishing.repository import Repository
from edge.releases.manifest import Blob, Release, ReleaseSealing, to_bytes
from edge.releases.sealing import SEALED_SINCE, FleetKey, release_context


@dataclass(frozen=True, slots=True)
class PreparedRelease:
    """A release before it is signed."""

    whole: Release
    public: Release
    """signed document; without personal data where the release is sealed"""
    files: Mapping[str, bytes] = field(repr=False)
    """sha256 -> content of files to add to the public blobs"""

    @property
    def manifest_bytes(self) -> int:
        """Size of the signed and the sealed manifest that a device downloads (bytes)."""
        sealed = self.public.sealing.manifest if self.public.sealing else None
        return len(to_bytes(self.public)) + (sealed.size if sealed else 0)

    def served(self) -> dict[str, int]:
        """sha256 of each file's content -> its size as served (bytes)."""
        sealed = self.whole.sealing.files if self.whole.sealing else {}
        return {
            sha256: sealed[sha256].size if sha256 in sealed else size for sha256, size in self.whole.blobs().items()
        }


def prepare(release: Release, key: FleetKey | None, repository: Repository, before: Release | None) -> PreparedRelease:
    """Seal ``release`` with ``key`` where it has faces and there is a key; reuses sealed files of ``before``."""
    private = {sha256: repository.private_blob(sha256) for sha256 in release.private()}
    if key is None or not (private or release.collections):
        return PreparedRelease(release, release, {sha256: path.read_bytes() for sha256, path in private.items()})
    there = before.sealing.files if before and before.sealing and before.sealing.key == key.id else {}
    kept = {sha256: there[sha256] for sha256 in private if sha256 in there}
    sealed = {sha256: key.seal(path.read_bytes(), sha256) for sha256, path in private.items() if sha256 not in kept}
    named = {sha256: _blob(data) for sha256, data in sealed.items()}
    minimum = max(release.minimum, SEALED_SINCE, key=_numbers)
    release = replace(release, minimum=minimum, sealing=ReleaseSealing(key.id, files=kept | named))
    manifest = key.seal(to_bytes(release), release_context(release.id))
    public = Release(
        release.id, release.created, release.minimum, release.erasure, sealing=ReleaseSealing(key.id, _blob(manifest))
    )
    data = {named[sha256].sha256: one for sha256, one in sealed.items()} | {_blob(manifest).sha256: manifest}
    return PreparedRelease(release, public, data)


def is_readable(release: Release) -> bool:
    """Whether a published release has names and embeddings in plain text."""
    return release.sealing is None and bool(release.private() or release.collections)


def served_blobs(release: Release, public: Release) -> set[str]:
    """sha256 of each public file of a published release."""
    if release.sealing is None:
        return set(release.blobs())
    manifest = public.sealing.manifest if public.sealing else None
    sealed = {blob.sha256 for blob in release.sealing.files.values()} | ({manifest.sha256} if manifest else set())
    return (release.blobs().keys() - release.private().keys()) | sealed


def _blob(data: bytes) -> Blob:
    return Blob(hashlib.sha256(data).hexdigest(), len(data))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
