"""Download of content-addressed files: resumable, verified, then renamed.

A file has its final name only when it is complete, verified and durable. A partial file may be damaged or manipulated:
a resumed file with a wrong digest is downloaded once more from the start; a fresh file with a wrong digest is rejected.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.core.errors import FetchError, StoreError, TrustError
from edge.core.storage import files
from edge.core.storage import sealed_files as vault_files
from edge.core.storage.damaged import remove
from edge.core.storage.vault import PLAIN, Vault
from edge.core.system.http import Http, Response
from edge.releases.manifest import Blob
from edge.releases.release_store import BLOB
from edge.releases.sealing import NOT_SEALED, OpenedSealing

FLOOR, WINDOW = 1000, 30.0
"""minimum bytes per second, and the period in seconds over which it is measured; slower downloads are aborted"""
Step = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """Limits of a download."""

    rate: int = 0
    """maximum bytes per second; 0: no limit"""
    reserve: int = 0
    """bytes that must stay free on the disk"""


class Downloads:
    """Downloads blobs into a folder.

    ``private``: blobs that are encrypted before they are written, where there is a key: no plaintext is on disk.
    """

    def __init__(
        self,
        http: Http,
        url: str,
        folder: Path,
        limits: DownloadLimits,
        vault: Vault = PLAIN,
        private: Container[str] = (),
        sealing: OpenedSealing = NOT_SEALED,
    ) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._folder = folder
        self._limits = limits
        self._vault = vault
        self._private = private
        self._sealing = sealing

    def missing(self, blobs: Mapping[str, int]) -> dict[str, int]:
        """Missing blobs, and the remaining bytes of each."""
        return {
            sha256: served.size - min(served.size, _size(self._part(served.sha256)))
            for sha256, size in blobs.items()
            if not self._whole(sha256, size)
            for served in [self._sealing.files.get(sha256, Blob(sha256, size))]
        }

    def fetch(self, blobs: Mapping[str, int], step: Step = lambda _: None) -> int:
        """Download all missing ``blobs`` (sha256 -> bytes) into the folder; ``step`` is called with the bytes received.

        Returns the bytes received. Raises StoreError before the first byte where the disk has no room, FetchError where
        the download can be resumed later, TrustError where a file does not match its digest.
        """
        missing = self.missing(blobs)
        self._make_room(sum(missing.values()))
        received = 0

        def count(size: int) -> None:
            nonlocal received
            received += size
            step(size)

        for sha256 in missing:
            if sha256 in self._sealing.files:
                self._fetch_for_fleet(sha256, count)
            elif self._is_sealed(sha256):
                self._fetch_sealed(sha256, blobs[sha256], count)
            else:
                self._fetch(sha256, blobs[sha256], count).replace(self._folder / sha256)
        if missing:
            files.sync_folder(self._folder)
        return received

    def _make_room(self, needed: int) -> None:
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        if needed and needed + self._limits.reserve > free:
            raise StoreError(
                f"{self._folder}: {needed >> 10} kB are missing and {self._limits.reserve >> 20} MB must stay free, "
                f"but {free >> 20} MB are free",
                "free some space, or lower sync.reserve_bytes",
            )

    def _fetch(self, sha256: str, size: int, step: Step) -> Path:
        """The verified file, not yet under its final name."""
        part = self._part(sha256)
        resumed = 0 < _size(part) <= size
        if not resumed:
            remove(part)
        self._receive(sha256, part, size, step)
        whole = files.sha256(part) == sha256
        if resumed and not whole:
            part.unlink()
            self._receive(sha256, part, size, step)
            whole = files.sha256(part) == sha256
        if not whole:
            part.unlink()
            raise self._poisoned(sha256)
        return part

    def _fetch_for_fleet(self, sha256: str, step: Step) -> None:
        """A file sealed by the hub: resumed as any other, decrypted in memory."""
        served = self._sealing.files[sha256]
        part = self._fetch(served.sha256, served.size, step)
        self._store(sha256, self._sealing.open(sha256, part.read_bytes()))
        part.unlink()

    def _fetch_sealed(self, sha256: str, size: int, step: Step) -> None:
        """Download in memory: an interrupted download starts again from the beginning."""
        with vault_files.memory(sha256) as part:
            self._receive(sha256, part, size, step)
            data = part.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise self._poisoned(sha256)
        self._store(sha256, data)

    def _store(self, sha256: str, data: bytes) -> None:
        try:
            files.write_bytes(self._folder / sha256, self._vault.seal(data, BLOB, sha256))
        except OSError as error:
            raise StoreError(f"{self._folder}: {error.strerror}", "check the disk: space, owner") from error

    def _is_sealed(self, sha256: str) -> bool:
        return self._vault.key is not None and sha256 in self._private

    def _poisoned(self, sha256: str) -> TrustError:
        return TrustError(
            f"{self._url}/{sha256}: is not the file that was signed",
            "publish again; if that does not help, files are modified in transit",
        )

    def _receive(self, sha256: str, part: Path, size: int, step: Step) -> None:
        start = _size(part)
        if start < size or not size:
            pace = TransferRate(self._limits)
            with self._http.get(f"{self._url}/{sha256}", start) as response, _writable(part, response) as file:
                written = response.start
                for piece in response.pieces():
                    if written + len(piece) > size:
                        raise TrustError(f"{self._url}/{sha256}: is longer than the {size} bytes that were signed")
                    os.write(file, piece)
                    written += len(piece)
                    step(len(piece))
                    pace.keep(len(piece))
                os.fsync(file)
                if written < size:
                    raise FetchError(f"{self._url}/{sha256}: ended after {written} of {size} bytes", "resumed later")
        else:
            files.sync_file(part)

    def _whole(self, sha256: str, size: int) -> bool:
        """Whether a file is complete; a damaged one is deleted."""
        path = self._folder / sha256
        if path.is_dir():
            remove(path)
        if self._is_sealed(sha256):
            return self._whole_sealed(path, sha256)
        if _size(path) == size and path.is_file() and files.sha256(path) == sha256:
            return True
        remove(path)
        return False

    def _whole_sealed(self, path: Path, sha256: str) -> bool:
        try:
            return hashlib.sha256(self._vault.open(path.read_bytes(), BLOB, sha256)).hexdigest() == sha256
        except (OSError, StoreError):
            return False

    def _part(self, sha256: str) -> Path:
        return self._folder / f".part-{sha256}"


class TransferRate:
    """Rate limit of a download, and abort below a minimum rate."""

    def __init__(self, limits: DownloadLimits, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._now = now
        self._began = self._window = now()
        self._bytes = self._in_window = 0

    def keep(self, size: int) -> None:
        """Count ``size`` bytes; waits above the limit. Raises FetchError below the minimum rate."""
        self._bytes += size
        self._in_window += size
        now, limits = self._now(), self._limits
        if limits.rate:
            ahead = self._bytes / limits.rate - (now - self._began)
            if ahead > 0:
                time.sleep(min(ahead, 1.0))
        if now - self._window >= WINDOW:
            if self._in_window < min(FLOOR, limits.rate or FLOOR) * WINDOW:
                raise FetchError(f"only {self._in_window} bytes in {WINDOW:g} s: aborted", "resumed later")
            self._window, self._in_window = now, 0


@contextmanager
def _writable(part: Path, response: Response) -> Iterator[int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_APPEND if response.start else os.O_TRUNC)
    try:
        file = os.open(part, flags, 0o600)
        try:
            yield file
        finally:
            os.close(file)
    except OSError as error:
        raise StoreError(f"{part.parent}: {error.strerror or error}", "check the disk: space, owner") from error


def _size(path: Path) -> int:
    """Bytes of a regular file; 0 where there is none."""
    return path.stat().st_size if files.is_file(path) else 0
