"""One update: refresh the metadata, find the deployed release, download, verify, install, activate.

Nothing in use changes before the release is complete and verified. A release that fails verification is marked as
bad and not tried again until it changes. The daemon loads the activated release.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge import __version__
from edge.core import plugins
from edge.core.errors import EdgeError, ReleaseError, SettingsError, TransientError
from edge.core.storage import vault
from edge.core.system.http import Http, HttpHints
from edge.releases import sealing, trusted_time
from edge.releases.blob_download import DownloadLimits, Downloads
from edge.releases.manifest import MOST, Deployment, Release, parse
from edge.releases.release_store import ReleaseStore
from edge.releases.update_state import UpdateState

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.releases.sealing import OpenedSealing
    from edge.releases.tuf_client import TufClient

log = logging.getLogger(__name__)

HINTS = HttpHints(
    address="sync.url",
    ca="sync.ca or SSL_CERT_FILE",
    network="nothing is lost: the download continues where it stopped; check the network and sync.url",
    missing="check sync.url, and that the hub's 'public' folder is served there",
)
MOST_DEPLOYMENT = 1 << 20
"""bytes"""
Outcome = Literal["nothing", "up_to_date", "installed", "held"]


@dataclass(frozen=True, slots=True)
class Synced:
    """The result of one update."""

    outcome: Outcome
    release: str = ""
    """active, or installed and waiting for the daemon"""
    received: int = 0
    """bytes of blobs"""
    planned: int = 0
    """bytes of blobs that were missing"""


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of an update."""

    phase: str
    desired: str = ""
    share: float = 0.0
    error: str = ""


class Updater:
    """One update. Run in one process at a time; the daemon may be running."""

    def __init__(self, settings: Settings, state: Path, report: Callable[[Progress], None] = lambda _: None) -> None:
        if not settings.sync.url or settings.sync.root is None:
            raise SettingsError("updates are not configured: sync.url is empty", "set sync.url and sync.root")
        plugins.want("sync", "releases need")
        self._settings, self._sync, self._state = settings, settings.sync, state
        self._report = report
        self._store = ReleaseStore(state)
        self._store.prepare()
        self._updates = UpdateState(self._store.folder)
        self._http = Http(settings.sync.url, settings.sync.ca, HINTS)

    @property
    def way(self) -> str:
        """How the server is reached: ``directly``, or the proxy used."""
        return self._http.way()

    def run(self, dry: bool = False) -> Synced:
        """Install the release deployed to this device. Raises EdgeError; the active release is then unchanged."""
        with self._store.locked():
            wanted = ""
            try:
                trusted_time.ensure(self._updates, self._sync.trust_clock)
                client = self._client()
                client.refresh()
                wanted = self._wanted(client)
                return self._follow(client, wanted, dry)
            except EdgeError as error:
                self._failed(wanted, error)
                raise
            finally:
                self._updates.close()

    def _client(self) -> TufClient:
        # imported here, because tuf takes 14 MB that the daemon does not need
        from edge.releases.tuf_client import TufClient

        assert self._sync.root is not None  # noqa: S101
        return TufClient(self._store.folder / "metadata", self._sync.root, self._updates, self._http)

    def _wanted(self, client: TufClient) -> str:
        data = client.target(f"deploy/{self._sync.group}.json", MOST_DEPLOYMENT)
        if data is None:
            return ""
        deployment = parse(Deployment, data)
        if deployment.group != self._sync.group:
            raise ReleaseError(f"expected the deployment of {self._sync.group!r}, got that of {deployment.group!r}")
        return deployment.wanted(self._settings.device.name)

    def _follow(self, client: TufClient, wanted: str, dry: bool) -> Synced:
        current = self._store.current
        if not wanted or wanted == current:
            self._progress("idle", wanted)
            return Synced("up_to_date" if current else "nothing", current)
        if reason := self._updates.bad(wanted):
            self._updates.put({"progress": {"phase": "failed", "desired": wanted, "share": 0.0, "error": reason}})
            return Synced("held", current)
        release, opened = self._opened(self._release(client, wanted))
        downloads = self._downloads(release, opened)
        planned = sum(downloads.missing(release.blobs()).values())
        if dry:
            return Synced("nothing", wanted, planned=planned)
        received = self._fetch(downloads, release, planned)
        self._install(release)
        return Synced("installed", release.id, received, planned)

    def _release(self, client: TufClient, wanted: str) -> Release:
        data = client.target(f"releases/{wanted}.json", MOST)
        if data is None:
            raise ReleaseError(f"release {wanted!r} is deployed but not published", "publish it, or deploy another one")
        release = parse(Release, data)
        if release.id != wanted:
            raise ReleaseError(f"expected release {wanted!r}, got {release.id!r}", "publish it again")
        if _numbers(release.minimum) > _numbers(__version__):
            raise ReleaseError(
                f"release {wanted} needs edge {release.minimum} or newer, this is {__version__}", "update edge here"
            )
        if release.erasure < int(self._updates.get("erasure", 0)):
            raise ReleaseError(
                f"release {wanted} is older than an erasure: it is not installed",
                "publish a new release with the same models",
            )
        return release

    def _opened(self, release: Release) -> tuple[Release, OpenedSealing]:
        """The full manifest, and how its private files are decrypted."""
        opened = sealing.NOT_SEALED
        if release.sealing is not None:
            secret = self._sync.key.get_secret_value()
            keys = sealing.hub_keys(self._sync.root) if self._sync.root and not secret else None
            keys = keys or sealing.fetch_keys(self._http, self._settings.device.name, secret)
            release = sealing.fetch_manifest(self._http, release, keys)
            opened = sealing.OpenedSealing(release.sealing.files if release.sealing else {}, keys)
        size = sum(release.blobs().values())
        if size > self._sync.max_bytes:
            raise ReleaseError(
                f"release {release.id} has {size} bytes, more than sync.max_bytes", "raise sync.max_bytes"
            )
        return release, opened

    def _downloads(self, release: Release, opened: OpenedSealing) -> Downloads:
        limits = DownloadLimits(rate=self._sync.rate, reserve=self._sync.reserve_bytes)
        return Downloads(
            self._http, f"{self._http.base}/blobs", self._store.blobs, limits, vault.of(self._state), release.private(),
            opened,
        )  # fmt: skip

    def _fetch(self, downloads: Downloads, release: Release, planned: int) -> int:
        came = 0

        def step(size: int) -> None:
            nonlocal came
            before = 100 * came // max(1, planned)
            came += size
            if 100 * came // max(1, planned) != before:
                self._progress("downloading", release.id, min(1.0, came / max(1, planned)))

        self._progress("downloading", release.id)
        return downloads.fetch(release.blobs(), step)

    def _install(self, release: Release) -> None:
        from edge.releases import verification

        self._progress("verifying", release.id, 1.0)
        folder = self._store.install(release)
        place = verification.Place(folder, self._store.blobs, self._state)
        embedders = {name: label.embedder for name, label in self._settings.labels.items() if label.embedder}
        try:
            verification.attempt(place, self._settings.models, embedders)
        except ReleaseError as error:
            self._updates.put({f"bad {release.id}": error.message})
            raise
        current = self._store.current
        good = current if current and self._updates.get("good") == current else self._store.previous
        self._updates.put({"boots": None})
        self._store.activate(release.id, good)
        self._progress("staged", release.id, 1.0)
        freed = self._store.tidy({release.id, good, self._store.previous, self._store.current})
        log.info("release %s is installed, %d bytes of older ones were deleted", release.id, freed)

    def _failed(self, wanted: str, error: EdgeError) -> None:
        phase = "idle" if isinstance(error, TransientError) else "failed"
        self._progress(phase, wanted, error=error.message)

    def _progress(self, phase: str, desired: str = "", share: float = 0.0, error: str = "") -> None:
        progress = Progress(phase, desired, round(share, 2), error)
        self._updates.put({"progress": {"phase": phase, "desired": desired, "share": progress.share, "error": error}})
        self._report(progress)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
