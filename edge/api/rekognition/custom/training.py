"""Training of custom labels versions: one at a time, in a separate thread with its own models."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from edge.api.rekognition.custom.projects import CONTENT_MODERATION, DatasetEntry, Projects, ProjectVersion
from edge.api.rekognition.errors import ApiError
from edge.core.errors import EdgeError
from edge.core.settings.schema import Settings
from edge.core.storage import layout
from edge.core.storage.buckets import Buckets
from edge.core.system.hardware import lower_priority
from edge.inference.pool import ModelPool
from edge.labels import classifier as custom_labels
from edge.labels.store import Labels

if TYPE_CHECKING:
    from edge.core.types import Picture
    from edge.labels.classifier import Prediction

log = logging.getLogger(__name__)

FOLDER = layout.RECORDS.name
"""in the state folder: heads of projects, separate from those trained on the command line"""
NICENESS = 10
MOST_SUMMARY = 16 << 20
"""size limit of an evaluation summary in bytes"""


class Training:
    """Trains versions, and runs predictions of running versions."""

    def __init__(self, settings: Settings, state: Path, projects: Projects, buckets: Buckets) -> None:
        self._settings, self._state, self._projects, self._buckets = settings, state, projects, buckets
        self.heads = Labels(state / FOLDER)
        self._one = threading.Lock()
        self._running: dict[tuple[str, str], threading.Thread] = {}

    def start(
        self, version: ProjectVersion, arn: str, learn: Sequence[DatasetEntry], test: Sequence[DatasetEntry]
    ) -> threading.Thread:
        """Train in the background and save the result. Without ``test``, a part of ``learn`` is tested."""
        arguments = (version, arn, list(learn), list(test))
        thread = threading.Thread(target=self._train, args=arguments, name="training", daemon=True)
        self._running = {key: one for key, one in self._running.items() if one.is_alive()}
        self._running[version.project, version.name] = thread
        thread.start()
        return thread

    def wait(self, version: ProjectVersion, seconds: float) -> None:
        """Wait up to ``seconds`` for the end of a version's training."""
        thread = self._running.get((version.project, version.name))
        if thread is not None:
            thread.join(seconds)

    def copy(self, source: ProjectVersion, target: ProjectVersion, arn: str) -> ProjectVersion:
        """``target`` with head and evaluation summary of ``source``. Raises EdgeError, OSError, ValueError."""
        found = self.heads.version(head_name(source.project), source.head)
        copied = self.heads.copy(found, head_name(target.project))
        with self._buckets.open(source.summary["Bucket"], source.summary["Name"]) as file:
            document = json.loads(file.read(MOST_SUMMARY))
        document["EvaluationDetails"]["ProjectVersionArn"] = arn
        bucket, key = target.output["S3Bucket"], summary_key(target)
        with self._buckets.writing(bucket, key) as file:
            file.write(json.dumps(document, indent=1).encode())
        return replace(
            target,
            status="COPYING_COMPLETED",
            message="The model is ready to run.",
            f1=source.f1,
            summary={"Bucket": bucket, "Name": key},
            head=copied.number,
            ended=source.ended,
            seconds=source.seconds,
        )

    def predict(
        self, version: ProjectVersion, picture: Picture, least: float | None, models: ModelPool
    ) -> list[Prediction]:
        """Call on the thread of ``models``. Raises ApiError for a version that is not running, SpaceError.

        Moderation versions need not be started, only trained.
        """
        moderates = self._projects.feature(version.project) == CONTENT_MODERATION
        if version.status != "RUNNING" and not (moderates and version.head):
            raise ApiError("ResourceNotReadyException", "The version of the project is not running.")
        from edge.labels import trainer as teach

        found = self.heads.version(head_name(version.project), version.head)
        trainer = teach.load(teach.BASE, found.detectors, models)
        custom_labels.check_space(found, trainer.embedder.space.fingerprint)
        return trainer.predict(found, self.heads.head(found), picture, least)

    def _detectors(self) -> tuple[str, ...]:
        """Object detectors: those with labels other than a face detector's only label."""
        from edge.inference import model

        cameras = (name for camera in self._settings.cameras for name in camera.detectors)
        names = dict.fromkeys(self._settings.api.detectors or cameras)
        folders = model.folders(self._settings.models, self._state)
        face = self._settings.api.label
        return tuple(name for name in names if set(model.find(name, folders).card.labels) - {face})

    def _train(self, version: ProjectVersion, arn: str, learn: list[DatasetEntry], test: list[DatasetEntry]) -> None:
        lower_priority(NICENESS)
        with self._one:
            began = time.monotonic()
            try:
                done = self._trained(version, arn, learn, test)
            except (EdgeError, OSError) as error:
                log.warning("version %s of %s: not trained: %s", version.name, version.project, error)
                message = self._unplaced(str(error))[:1000]
                done = replace(version, status="TRAINING_FAILED", message=message)
            self._projects.save_version(replace(done, seconds=time.monotonic() - began, ended=time.time()))

    def _unplaced(self, message: str) -> str:
        """The message without the paths of the bucket folders."""
        for name in self._buckets.names():
            message = message.replace(f"{self._buckets.place(name)}/", f"s3://{name}/")
        return message

    def _trained(
        self, version: ProjectVersion, arn: str, given: list[DatasetEntry], kept_back: list[DatasetEntry]
    ) -> ProjectVersion:
        from edge.api.rekognition.custom import result_manifests
        from edge.api.rekognition.custom.lines import examples_of
        from edge.labels import trainer as teach
        from edge.labels.evaluation import split, summary

        learn, test = examples_of(iter(given), self._buckets), examples_of(iter(kept_back), self._buckets)
        lines = {one.source: one.line for one in (*given, *kept_back) if not one.error}
        if not test:
            learn, test = split(learn)
        boxed = any(example.boxed for example in learn)
        # a separate pool, so that its interpreters are freed at the end of the training
        models = ModelPool(self._settings.models, self._state, threads=1)
        made, _ = teach.load(teach.BASE, self._detectors() if boxed else (), models).train(learn, test)
        saved = self.heads.save(head_name(version.project), made)
        used = [[lines[one.source] for one in part if one.source in lines] for part in (made.learned, made.tested)]
        results = result_manifests.written(version, self._buckets, (given, kept_back), used)
        ended = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
        bucket, key = version.output["S3Bucket"], summary_key(version)
        document = summary(made.evaluation, arn, ended, len(learn), test if boxed else ())
        with self._buckets.writing(bucket, key) as file:
            file.write(json.dumps(document, indent=1).encode())
        return replace(
            version,
            status="TRAINING_COMPLETED",
            message="The model is ready to run.",
            f1=made.evaluation.f1,
            summary={"Bucket": bucket, "Name": key},
            head=saved.number,
            results=results,
        )


def summary_key(version: ProjectVersion) -> str:
    """Key of the evaluation summary in the version's bucket."""
    prefix = version.output.get("S3KeyPrefix", "").strip("/")
    return f"{prefix}/" * bool(prefix) + f"EvaluationSummary-{version.project}-{version.name}.json"


def head_name(project: str) -> str:
    """Name in the head store, as project names may be longer and contain dots."""
    import hashlib

    return hashlib.sha256(project.encode()).hexdigest()[:32]
