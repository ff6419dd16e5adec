"""Releases on disk: ``blobs/<sha256>``, ``releases/<id>/``, and the links ``current`` and ``previous``.

A release is built in ``staging``, synced to disk, then renamed; a link is replaced by a rename. A crash at any time
leaves ``current`` pointing at a complete release, or absent where there never was one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.core.errors import ConflictError, NotFoundError, ReleaseError, StoreError
from edge.core.storage import files, vault
from edge.core.storage.damaged import remove, set_aside
from edge.core.storage.layout import MANIFEST, StateLayout
from edge.core.storage.vault import Resealing
from edge.releases.manifest import Release, parse, to_bytes

TAXONOMY = "taxonomy.json"
BLOB = "blob"
"""context of a sealed value"""


class ReleaseStore:
    """The releases of one state folder. Raises StoreError where the disk fails."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._layout = StateLayout(state)
        self.folder = self._layout.sync
        self.blobs = self.folder / "blobs"
        self.releases = self.folder / "releases"
        self.hint = self.folder / "wanted"
        """touched by the daemon when the hub announces a new release"""
        self._staging = self.folder / "staging"

    def prepare(self) -> None:
        """Create missing folders."""
        with _explained(self.folder):
            for folder in (self.folder, self.blobs, self.releases):
                if folder.exists() and not folder.is_dir():
                    set_aside(folder)
                files.make_folder(folder)

    @property
    def current(self) -> str:
        """Id of the active release; empty for none."""
        return self._target("current")

    @property
    def previous(self) -> str:
        """Id of the previous release; empty for none."""
        found = self._target("previous")
        return "" if found == self.current else found

    def blob(self, sha256: str) -> Path:
        return self.blobs / sha256

    def read(self, sha256: str) -> bytes:
        """The content of a blob that is encrypted where the state folder is (``Release.private``).

        Raises OSError, StoreError; SettingsError without its key.
        """
        return read(self.blobs, self._state, sha256)

    def reseal(self, change: Resealing) -> int:
        """Re-encrypt all private blobs; returns the number of damaged ones, which are deleted. Raises EdgeError."""
        damaged = 0
        for sha256 in sorted({one for release in self._whole() for one in release.private()}):
            path = self.blob(sha256)
            with _explained(self.folder):
                try:
                    data = change.data(path.read_bytes(), BLOB, sha256)
                except FileNotFoundError:
                    continue
                except StoreError:
                    path.unlink()  # edge sync fetches it again
                    damaged += 1
                else:
                    files.write_bytes(path, data)
        for part in self.blobs.glob(".part-*"):
            part.unlink(missing_ok=True)
        return damaged

    def path(self, release: str) -> Path:
        return self.releases / release

    def installed(self) -> list[str]:
        """Ids of complete releases."""
        if not self.releases.is_dir():
            return []
        return sorted(path.name for path in self.releases.iterdir() if (path / MANIFEST).is_file())

    def manifest(self, release: str) -> Release:
        """The manifest of an installed release. Raises NotFoundError; StoreError where it is damaged on disk."""
        path = self.path(release) / MANIFEST
        try:
            found = parse(Release, path.read_bytes())
        except OSError as error:
            raise NotFoundError(f"release {release!r} is not installed", "see edge release list") from error
        except ReleaseError as error:
            raise StoreError(f"{path}: is damaged: {error.message}", "edge sync fetches it again") from error
        if found.id != release:
            raise StoreError(f"{path}: is damaged: it has the id {found.id!r}", "edge sync fetches it again")
        return found

    def verify(self, release: Release) -> None:
        """Read every model and head of an installed release. Raises StoreError where one is damaged on disk."""
        for folder, blobs in release.folders().items():
            for name, blob in blobs.items():
                path = self.path(release.id) / folder / name
                try:
                    whole = files.sha256(path) == blob.sha256
                except OSError:
                    whole = False
                if not whole:
                    raise StoreError(f"{path}: is damaged", "edge sync fetches it again")

    def install(self, release: Release) -> Path:
        """Create ``releases/<id>`` from verified blobs atomically; returns its folder.

        A damaged release with this id is replaced. Raises ReleaseError where the active release has this id and other
        content.
        """
        final = self.path(release.id)
        with _explained(self.folder):
            if _is_installed(final, release):
                return final
            if self.current == release.id and self._is_whole(release.id):
                raise ReleaseError(
                    f"release {release.id!r} is installed with other content", "publish it under another id"
                )
            for leftover in (self._staging, final):
                remove(leftover)
            files.make_folder(self._staging / "models")
            for place, blobs in release.folders().items():
                folder = self._staging / place
                files.make_folder(folder)
                for name, blob in blobs.items():
                    _link(self.blob(blob.sha256), folder / name)
            if release.taxonomy:
                _link(self.blob(release.taxonomy.sha256), self._staging / TAXONOMY)
            files.write_bytes(self._staging / MANIFEST, to_bytes(release))
            for made in (*(one for one in self._staging.rglob("*") if one.is_dir()), self._staging):
                files.sync_folder(made)
            self._staging.rename(final)
            files.sync_folder(self.releases)
        return final

    def activate(self, release: str, keep: str) -> None:
        """Point ``current`` at an installed release, and ``previous`` at ``keep``, the last committed one or empty."""
        if not (self.path(release) / MANIFEST).is_file():
            raise NotFoundError(f"release {release!r} is not installed", "see edge release list")
        with _explained(self.folder):
            if keep:
                self._point("previous", keep)
            self._point("current", release)

    def drop_current(self) -> None:
        """Remove the link to the active release."""
        self._drop("current")

    def drop_previous(self) -> None:
        """Remove the previous release: no rollback from the current one."""
        self._drop("previous")

    def discard(self, release: str) -> None:
        """Delete an installed release that is damaged on disk; the next sync downloads it again."""
        with _explained(self.folder):
            self._delete(release)
            files.sync_folder(self.releases)

    def tidy(self, keep: set[str]) -> int:
        """Delete releases that are damaged or not in ``keep``, and unused blobs; returns the bytes freed."""
        needed: set[str] = set()
        gone = 0
        with _explained(self.folder):
            for release in self.installed():
                if release not in keep or not self._is_whole(release):
                    self._delete(release)
            for manifest in self._whole():
                needed |= manifest.blobs().keys()
            for blob in self.blobs.iterdir():
                if blob.name not in needed:
                    gone += blob.stat().st_size
                    remove(blob)
        return gone

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock for processes that change releases. Raises ConflictError where another one holds it."""
        self.prepare()
        lock = self.folder / "lock"
        with _explained(self.folder):
            if lock.is_dir():
                remove(lock)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise ConflictError("another 'edge sync' is running", "wait until it is done") from error
        try:
            yield
        finally:
            os.close(descriptor)

    def _delete(self, release: str) -> None:
        remove(self.path(release) / MANIFEST)  # first: a half-deleted release is none
        remove(self.path(release))

    def _drop(self, link: str) -> None:
        with _explained(self.folder):
            remove(self.folder / link)
            files.sync_folder(self.folder)

    def _target(self, link: str) -> str:
        return self._layout.linked_release(link)

    def _whole(self) -> list[Release]:
        """Manifests of the installed releases that are not damaged."""
        return [self.manifest(release) for release in self.installed() if self._is_whole(release)]

    def _is_whole(self, release: str) -> bool:
        try:
            self.manifest(release)
        except (NotFoundError, StoreError):
            return False
        return True

    def _point(self, link: str, release: str) -> None:
        new, target = self.folder / f".{link}", self.folder / link
        remove(new)
        new.symlink_to(Path("releases") / release)
        if target.is_dir() and not target.is_symlink():
            remove(target)
        new.replace(target)
        files.sync_folder(self.folder)


def read(blobs: Path, state: Path, sha256: str) -> bytes:
    """The content of a blob, encrypted as the files in ``state``. Raises OSError, StoreError, SettingsError."""
    return vault.of(state).open((blobs / sha256).read_bytes(), BLOB, sha256)


def _is_installed(folder: Path, release: Release) -> bool:
    try:
        return (folder / MANIFEST).read_bytes() == to_bytes(release)
    except OSError:
        return False


def _link(blob: Path, path: Path) -> None:
    try:
        path.hardlink_to(blob)
    except OSError:
        # FAT and some network file systems have no hard links
        shutil.copyfile(blob, path)
        files.sync_file(path)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror or error}", "check the disk: space, owner, read-only") from error
