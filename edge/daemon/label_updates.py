"""Custom label updates: a newer version takes over without a restart, and reviewers' answers refit a head.

The main thread polls the files and the review queue; models are loaded and heads are fitted in a thread of low
priority. A version takes over between two frames, as a release does. Versions of a release stay.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from edge.core.errors import EdgeError
from edge.core.system import hardware as board
from edge.daemon.component import Component
from edge.labels import classifier as custom_labels
from edge.labels.refit import refit
from edge.labels.store import FOLDER, Labels
from edge.labels.version import Version
from edge.recognition.review.queue import ReviewQueue
from edge.releases.activation import replaced_models

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.daemon.context import DeviceContext
    from edge.daemon.engine import Engine
    from edge.labels.classifier import LabelClassifier
    from edge.pipeline.model_set import ModelSet

log = logging.getLogger(__name__)

LOOK = 5.0
"""seconds between two checks"""


def create(context: DeviceContext) -> LabelUpdater:
    """The component of a daemon."""

    def switch(model_set: ModelSet) -> None:
        if context.loaded is not None:
            updated = {custom_labels.part(name) for name in model_set.classifiers}
            found = context.health.model_problems()
            problems = {part: problem for part, problem in found.items() if part not in updated}
            context.switch(replace(context.loaded, model_set=model_set, problems=problems))

    replaces = replaced_models(context.state)
    return LabelUpdater(context.effective_settings, context.state, context.engine, switch, replaces)


class LabelUpdater(Component):
    """Loads newer versions of custom labels and refits heads.

    ``settings``: those in force under the release; ``switch`` puts a model set in use between two frames; ``replaces``:
    model -> the release's model that replaces it there.
    """

    def __init__(
        self,
        settings: Settings,
        state: Path,
        engine: Engine,
        switch: Callable[[ModelSet], None],
        replaces: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._settings, self._state, self._engine, self._switch = settings, state, engine, switch
        self._replaces = replaces
        self._labels = Labels(state)
        self._queue = ReviewQueue(state, settings.review) if settings.review.enabled else None
        self._thread: threading.Thread | None = None
        self._ready: dict[str, LabelClassifier] = {}
        self._refused: set[tuple[str, str]] = set()
        """version and name that could not be used: logged once"""
        self._tried: dict[str, int] = {}
        """labels -> answers at the latest refit"""
        self._next = 0.0

    def tick(self, now: float) -> None:
        if self._thread is not None and not self._thread.is_alive():
            self._thread = None
            self._take_over()
        if now < self._next or self._thread is not None:
            return
        self._next = now + LOOK
        work = self._newer() or self._learnable()
        if work is not None:
            self._thread = threading.Thread(target=work, name="learning")
            self._thread.start()

    def close(self) -> None:
        if self._thread is not None:
            self._thread.join()
        if self._queue is not None:
            self._queue.close()

    def _newer(self) -> Callable[[], None] | None:
        """Load the first version that is newer than the one in use."""
        classifiers = self._engine.model_set.classifiers
        for name in custom_labels.named(self._settings):
            version = self._own(name)
            if version is None:
                continue
            wanted = f"{version.name}/{version.number}"
            if (name not in classifiers or classifiers[name].version != wanted) and (
                wanted,
                name,
            ) not in self._refused:
                return lambda: self._load(name, wanted, classifiers)
        return None

    def _learnable(self) -> Callable[[], None] | None:
        """Refit the first labels with enough answers."""
        enough = self._settings.review.refit
        if self._queue is None or not enough:
            return None
        for name, count in self._queue.examples.counts().items():
            version = self._own(name)
            if version is not None and count - max(version.confirmed, self._tried.get(name, 0)) >= enough:
                self._tried[name] = count
                return lambda: self._learn(name, version)
        return None

    def _own(self, name: str) -> Version | None:
        """The version that a name stands for, where it was learned on this device."""
        try:
            version, _ = custom_labels.find(name, self._state)
        except EdgeError:
            return None
        return version if version.folder.is_relative_to(self._state / FOLDER) else None

    def _load(self, name: str, wanted: str, classifiers: Mapping[str, LabelClassifier]) -> None:
        from edge.inference.embedder import Embedder
        from edge.inference.load import load_embedder

        board.lower_priority()
        running = [classifier.embedder for classifier in classifiers.values()]

        def embedder_of(base: str) -> Embedder:
            there = (one for one in running if isinstance(one, Embedder) and one.card.name == base)
            return next(there, None) or load_embedder(base, self._settings.models, self._state)

        try:
            self._ready[name] = custom_labels.load_classifier(
                name, self._settings, self._state, "", self._replaces, embedder_of
            )
        except EdgeError as error:
            self._refused.add((wanted, name))
            log.error("custom labels %s: version %s cannot be used: %s", name, wanted, error)

    def _learn(self, name: str, version: Version) -> None:
        assert self._queue is not None  # noqa: S101
        board.lower_priority()
        try:
            if self._queue.pictures.pending(name):
                from edge.inference.pool import ModelPool
                from edge.labels.trainer import load

                models = ModelPool(self._settings.models, self._state, threads=1)
                trainer = load(version.base, version.detectors, models)
                self._queue.pictures.embed(version, trainer)
            done = refit(self._labels, name, self._queue.examples.of(name, version.space))
        except EdgeError as error:
            log.warning("custom labels %s: refit failed: %s", name, error)
            return
        words = "is used" if done.used else "is not used: it does worse"
        log.info(
            "custom labels %s: version %d learned %d answers and %s (F1 %.3f, was %.3f)", name, done.version.number,
            done.answers, words, done.after.f1, done.before.f1,
        )  # fmt: skip

    def _take_over(self) -> None:
        if not self._ready:
            return
        model_set = self._engine.model_set
        changed = replace(model_set, classifiers={**model_set.classifiers, **self._ready})
        log.info("custom labels: %s from now on", ", ".join(one.version for one in self._ready.values()))
        self._ready = {}
        self._switch(changed)
