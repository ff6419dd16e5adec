"""What happens to one release: found, trusted, fetched, tried, put in place. The daemon takes it from there.

Nothing that runs is touched before everything is here, verified and tried; what cannot be used is remembered as bad
and not tried again until it changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge import __version__
from edge.core import plugins as extras
from edge.core.errors import EdgeError, ReleaseError, SettingsError, TransientError
from edge.core.storage import vault
from edge.releases import trusted_time as clock
from edge.releases.blob_download import DownloadLimits, Downloads
from edge.releases.http import Http
from edge.releases.manifest import MOST, Deployment, Release, parse
from edge.releases.release_store import ReleaseStore
from edge.releases.update_state import UpdateState

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.releases.tuf_client import Metadata

log = logging.getLogger(__name__)

MOST_DEPLOYMENT = 1 << 20
"""bytes"""
Outcome = Literal["nothing", "up_to_date", "installed", "held"]


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of one look at the hub."""

    outcome: Outcome
    release: str = ""
    """in use now, or installed and waiting for the daemon"""
    received: int = 0
    """bytes of blobs"""
    planned: int = 0
    """bytes of blobs that were missing"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an update is."""

    phase: str
    desired: str = ""
    share: float = 0.0
    error: str = ""


class Updater:
    """Looks at the hub once. One process at a time; the daemon may run."""

    def __init__(self, settings: Settings, state: Path, tell: Callable[[Progress], None] = lambda _: None) -> None:
        if not settings.sync.url or settings.sync.root is None:
            raise SettingsError("no releases are set up: sync.url is empty", "set sync.url and sync.root")
        extras.want("sync", "releases need")
        self._settings, self._sync, self._state = settings, settings.sync, state
        self._tell = tell
        self._slots = ReleaseStore(state)
        self._ledger = UpdateState(self._slots.folder)
        self._http = Http(settings.sync.url.basic_authorization())

    def run(self, dry: bool = False) -> Synced:
        """Bring the release here that this device is to run. Raises EdgeError; the running release stays as it was."""
        with self._slots.locked():
            wanted = ""
            try:
                clock.ensure(self._ledger, self._sync.trust_clock)
                metadata = self._metadata()
                metadata.refresh()
                wanted = self._wanted(metadata)
                return self._follow(metadata, wanted, dry)
            except EdgeError as error:
                self._failed(wanted, error)
                raise
            finally:
                self._ledger.close()

    def _metadata(self) -> Metadata:
        # here, and not above: the daemon imports this module's neighbors, and tuf takes 14 MB
        from edge.releases.tuf_client import Metadata

        assert self._sync.root is not None  # noqa: S101
        try:
            root = self._sync.root.expanduser().read_bytes()
        except OSError as error:
            raise SettingsError(
                f"sync.root: {self._sync.root} cannot be read: {error.strerror}", "bring the hub's 1.root.json here"
            ) from error
        url = self._sync.url.without_credentials()
        return Metadata(self._slots.folder / "metadata", url, root, self._ledger, self._http)

    def _wanted(self, metadata: Metadata) -> str:
        data = metadata.target(f"deploy/{self._sync.group}.json", MOST_DEPLOYMENT)
        if data is None:
            return ""
        deployment = parse(Deployment, data)
        if deployment.group != self._sync.group:
            raise ReleaseError(f"deployment of {deployment.group!r} lies where that of {self._sync.group!r} belongs")
        return deployment.wanted(self._settings.device.name)

    def _follow(self, metadata: Metadata, wanted: str, dry: bool) -> Synced:
        current = self._slots.current
        if not wanted or wanted == current:
            self._say("idle", wanted)
            return Synced("up_to_date" if current else "nothing", current)
        if reason := self._ledger.bad(wanted):
            self._ledger.put({"progress": {"phase": "failed", "desired": wanted, "share": 0.0, "error": reason}})
            return Synced("held", current)
        release = self._release(metadata, wanted)
        downloads = self._downloads(release)
        planned = sum(downloads.missing(release.blobs()).values())
        if dry:
            return Synced("nothing", wanted, planned=planned)
        received = self._fetch(downloads, release, planned)
        self._install(release)
        return Synced("installed", release.id, received, planned)

    def _release(self, metadata: Metadata, wanted: str) -> Release:
        data = metadata.target(f"releases/{wanted}.json", MOST)
        if data is None:
            raise ReleaseError(f"release {wanted!r} is deployed and not published", "publish it, or deploy another one")
        release = parse(Release, data)
        if release.id != wanted:
            raise ReleaseError(f"release {release.id!r} lies where {wanted!r} belongs", "publish it again")
        if _numbers(release.minimum) > _numbers(__version__):
            raise ReleaseError(
                f"release {wanted} needs edge {release.minimum} or newer, this is {__version__}", "update edge here"
            )
        if release.erasure < int(self._ledger.get("erasure", 0)):
            raise ReleaseError(
                f"release {wanted} is from before somebody was forgotten: it is not taken back",
                "publish a new release with the same models",
            )
        size = sum(release.blobs().values())
        if size > self._sync.max_bytes:
            raise ReleaseError(f"release {wanted} has {size} bytes, more than sync.max_bytes", "raise sync.max_bytes")
        return release

    def _downloads(self, release: Release) -> Downloads:
        limits = DownloadLimits(rate=self._sync.rate, reserve=self._sync.reserve_bytes)
        url = f"{self._sync.url.without_credentials()}/blobs"
        return Downloads(self._http, url, self._slots.blobs, limits, vault.of(self._state), release.private())

    def _fetch(self, downloads: Downloads, release: Release, planned: int) -> int:
        came = 0

        def step(size: int) -> None:
            nonlocal came
            before = 100 * came // max(1, planned)
            came += size
            if 100 * came // max(1, planned) != before:
                self._say("downloading", release.id, min(1.0, came / max(1, planned)))

        self._say("downloading", release.id)
        return downloads.fetch(release.blobs(), step)

    def _install(self, release: Release) -> None:
        from edge.releases import verification as release_trial

        self._say("verifying", release.id, 1.0)
        folder = self._slots.install(release)
        place = release_trial.Place(folder, self._slots.blobs, self._state)
        embedders = {name: label.embedder for name, label in self._settings.labels.items() if label.embedder}
        try:
            release_trial.attempt(place, self._settings.models, embedders)
        except ReleaseError as error:
            self._ledger.put({f"bad {release.id}": error.message})
            raise
        current = self._slots.current
        good = current if current and self._ledger.get("good") == current else self._slots.previous
        self._ledger.put({"boots": None})
        self._slots.activate(release.id, good)
        self._say("staged", release.id, 1.0)
        gone = self._slots.tidy({release.id, good, self._slots.previous, self._slots.current})
        log.info("release %s is in place, %d bytes of older ones went", release.id, gone)

    def _failed(self, wanted: str, error: EdgeError) -> None:
        phase = "idle" if isinstance(error, TransientError) else "failed"
        self._say(phase, wanted, error=error.message)

    def _say(self, phase: str, desired: str = "", share: float = 0.0, error: str = "") -> None:
        progress = Progress(phase, desired, round(share, 2), error)
        self._ledger.put({"progress": {"phase": phase, "desired": desired, "share": progress.share, "error": error}})
        self._tell(progress)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
