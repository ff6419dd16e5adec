"""Releases in the daemon: load and switch between two frames, probation, automatic rollback.

``edge sync`` only changes the link ``current``; the main thread checks it once a second. Models are loaded and faces
stored in a separate thread with a lower priority, while the old model set stays in use. When a release fails its
probation, the link is moved back, and the rollback is loaded the same way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.errors import EdgeError, ReleaseError, StoreError
from edge.core.settings.schema import Settings
from edge.core.storage import files
from edge.core.system import hardware as board
from edge.core.system import systemd as sdnotify
from edge.labels.classifier import part as label_part
from edge.mqtt.messages import Reported
from edge.pipeline.health import Health
from edge.pipeline.loader import LoadedModels, load_model_set
from edge.recognition.store.collections import Collections
from edge.releases import activation
from edge.releases.expiry import EXPIRY, expiring
from edge.releases.manifest import Release, ShippedLabels
from edge.releases.probation import Probation
from edge.releases.release_store import ReleaseStore
from edge.releases.update_state import UpdateState

if TYPE_CHECKING:
    from edge.pipeline.model_set import ModelSet

BOOTS = 3
"""starts of a release that may crash or hang before it is committed"""
LOOK = 1.0
"""seconds between two checks of the link"""

log = logging.getLogger(__name__)


class ReleaseManager:
    """The release that the daemon runs. Use on the main thread only; close it."""

    def __init__(self, settings: Settings, state: Path, collections: Collections, health: Health) -> None:
        self._settings, self._state, self._collections, self._health = settings, state, collections, health
        self._store = ReleaseStore(state)
        self._used = self._store.folder.is_dir() or bool(settings.sync.url)
        if self._used:
            self._store.prepare()
        self._updates = UpdateState(self._store.folder) if self._used else None
        self._probation = Probation(health, settings.sync.probation)
        self._running = ""
        self._thread: threading.Thread | None = None
        self._loaded: LoadedModels | EdgeError | None = None
        self._loading, self._share = "", 0.0
        self._reported: Reported | None = None
        self._next, self._due = 0.0, True

    def start(self) -> LoadedModels:
        """The models to start with: the current release, the previous one if it fails, or the settings alone."""
        while self._updates is not None and (current := self._store.current):
            try:
                self._count_boot(self._updates, current)
                assembled = self._load(current)
                self._running = current
                if self._updates.get("good") != current:
                    self._probation.begin(time.monotonic(), fresh=True)
                return assembled
            except EdgeError as error:
                log.error("release %s: %s", current, error)
                if not self._away_from(current, error):
                    break
        return self._load("")

    def tick(self, now: float, switch: Callable[[LoadedModels], None]) -> None:
        """Call often; acts once a second: loads a new release, and evaluates probation."""
        self._due = now >= self._next
        if self._updates is None or not self._due:
            return
        self._next = now + LOOK
        try:
            self._look(now, switch, self._updates)
        except StoreError as error:
            log.error("%s", error)
            self._health.trouble("release", error.message)

    def _look(self, now: float, switch: Callable[[LoadedModels], None], updates: UpdateState) -> None:
        if self._thread is not None:
            if not self._thread.is_alive():
                self._thread = None
                self._take_over(now, switch)
            return
        if self._store.current != self._running:
            self._begin_loading(self._store.current)
            return
        verdict = self._probation.look(now)
        if verdict is None:
            return
        self._probation.end()
        if verdict:
            log.error("release %s failed its probation: %s", self._running, verdict)
            self._back(verdict)
        else:
            log.info("release %s committed", self._running)
            activation.commit(self._store, updates)

    def report(self) -> Reported | None:
        """``up/reported``, if it has changed since the last call."""
        try:
            report = self._words() if self._due or self._reported is None else self._reported
        except StoreError as error:
            log.error("%s", error)
            return None
        if report == self._reported:
            return None
        self._reported = report
        return report

    def hinted(self) -> None:
        """The hub announced a deployment: wake ``edge sync --watch``. The announcement is not trusted otherwise."""
        if self._used:
            files.make_folder(self._store.folder)
            self._store.hint.touch()

    def close(self) -> None:
        if self._thread is not None:
            self._thread.join()
        if self._updates is not None:
            if self._probation.running:
                # stopped on purpose: not a failed start of the release
                self._updates.put({"boots": max(0, int(self._updates.get("boots", 0)) - 1)})
            self._updates.close()

    def _count_boot(self, updates: UpdateState, current: str) -> None:
        if updates.get("good") == current:
            return
        boots = int(updates.get("boots", 0)) + 1
        if boots > BOOTS:
            raise ReleaseError(f"release {current}: {BOOTS} starts without passing its probation")
        updates.put({"boots": boots})

    def _away_from(self, release: str, error: EdgeError) -> bool:
        """Deactivate a release that cannot be loaded; one with damaged files only until it is downloaded again."""
        if not isinstance(error, StoreError):
            return self._back(error.message)
        good = self._running or self._store.previous
        try:
            self._store.discard(release)
            if good:
                self._store.activate(good, "")
        except EdgeError as problem:
            self._health.trouble("release", problem.message)
            return False
        return True

    def _back(self, reason: str) -> bool:
        """Roll back the link; False where that is impossible."""
        assert self._updates is not None  # noqa: S101
        try:
            activation.go_back(self._store, self._updates, reason)
        except EdgeError as error:
            log.error("no rollback possible: %s", error)
            self._health.trouble("release", error.message)
            return False
        return True

    def _begin_loading(self, release: str) -> None:
        self._loading, self._loaded = release, None
        self._thread = threading.Thread(target=self._load_in_background, name="release")
        self._thread.start()

    def _load_in_background(self) -> None:
        board.lower_priority()
        try:
            self._loaded = self._load(self._loading)
        except EdgeError as error:
            self._loaded = error

    def _load(self, release: str) -> LoadedModels:
        """The model set of a release, with its faces in the store. Raises EdgeError where it is unusable."""
        if not release:
            if self._updates is not None:
                activation.withdraw(self._collections)
            return load_model_set(self._settings, self._state, self._collections)
        assert self._updates is not None  # noqa: S101
        manifest = self._store.manifest(release)
        self._store.verify(manifest)
        activation.remember_erasures(manifest, self._updates)
        began = time.monotonic()
        total = sum(segment.count for shipped in manifest.collections for segment in shipped.segments)
        self._share = 0.0

        def step(faces: int) -> None:
            self._share = min(1.0, self._share + faces / total)
            sdnotify.extend_start_timeout()

        renames = activation.prepare(self._collections, manifest, self._store, self._updates, step)
        settings = activation.settings_of(self._settings, manifest, self._store.path(release))
        prepared = {
            name: label.model_copy(update={"collection": renames.get(label.collection, label.collection)})
            for name, label in settings.labels.items()
        }
        assembled = load_model_set(
            settings.model_copy(update={"labels": prepared}), self._state, self._collections, release, manifest.replaces
        )
        for part, problem in blamed(assembled.problems, manifest.custom_labels).items():
            raise ReleaseError(f"{part}: {problem}")
        activation.swap(self._collections, renames)
        log.info("release %s is loaded after %.1f s", release, time.monotonic() - began)
        return replace(assembled, model_set=self._named(assembled, settings, manifest))

    def _named(self, assembled: LoadedModels, settings: Settings, manifest: Release) -> ModelSet:
        """The model set with collections under their final names, and detectors under the names that cameras use."""
        recognizers = {}
        for label, recognizer in assembled.model_set.recognizers.items():
            collection = self._collections.get(settings.labels[label].collection)
            log.debug("%s: %d faces", collection.name, collection.count)  # loads them here, not between frames
            recognizers[label] = replace(recognizer, search=recognizer.search.within(collection))
        named = {name for camera in self._settings.cameras for name in camera.detectors}
        loaded = assembled.model_set.detectors
        detectors = {name: loaded[used] for name in named if (used := manifest.replaces.get(name, name)) in loaded}
        return replace(assembled.model_set, recognizers=recognizers, detectors=detectors)

    def _take_over(self, now: float, switch: Callable[[LoadedModels], None]) -> None:
        loaded, release = self._loaded, self._loading
        self._loaded = None
        if not isinstance(loaded, LoadedModels):
            log.error("release %s cannot be used: %s", release or "of the settings", loaded)
            if release and release == self._store.current:
                self._away_from(release, loaded or ReleaseError("it could not be loaded"))
            return
        assert self._updates is not None  # noqa: S101
        if release and self._updates.get("good") != release:
            self._probation.begin(now, fresh=False)
        else:
            self._probation.end()
        switch(loaded)
        self._running = release
        log.info("release %s is in use", release or "of the settings")

    def _words(self) -> Reported:
        if self._updates is None:
            return Reported(release="")
        reported = self._update_phase(self._updates)
        soon = expiring(self._updates.get(EXPIRY, {}))
        group = self._settings.sync.group
        return replace(reported, group=group, expiring={one.role: one.day for one in soon})

    def _update_phase(self, updates: UpdateState) -> Reported:
        running = self._running
        if self._thread is not None:
            return Reported(running, "staged", self._loading, round(self._share, 2))
        if self._probation.running:
            return Reported(running, "probation", running, 1.0)
        progress = updates.get("progress", {})
        phase, desired, error = progress.get("phase", "idle"), progress.get("desired", ""), progress.get("error", "")
        if phase in ("downloading", "verifying"):
            return Reported(running, phase, desired, progress.get("share", 0.0))
        if failed := updates.get("failed"):
            return Reported(running, "rolled_back", failed, error=updates.bad(failed)[:500])
        if phase == "failed":
            return Reported(running, "failed", desired, error=error[:500])
        return Reported(running, "committed" if running else "idle", running, error=error[:500])


def blamed(problems: Mapping[str, str], shipped: Iterable[ShippedLabels]) -> dict[str, str]:
    """The problems caused by a release: not those of labels that it does not ship."""
    brought = {one.name for one in shipped}
    others = [
        one
        for one in problems
        if one.startswith(label_part("")) and one[len(label_part("")) :].split("/")[0] not in brought
    ]
    return {one: problem for one, problem in problems.items() if one not in others}
