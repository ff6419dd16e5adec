"""Loads the model set that the settings name: models are verified, loaded and paired with their collections."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from edge.core.errors import EdgeError, ModelError, NotFoundError
from edge.core.system import systemd as sdnotify
from edge.inference import load
from edge.labels import classifier as custom_labels
from edge.labels.classifier import LabelClassifier
from edge.pipeline.model_set import FaceRecognizer, ModelSet
from edge.pipeline.text_stage import LABEL as TEXT
from edge.pipeline.tracking.identity_voting import VotingRules
from edge.recognition.recorded_embedder import with_recorded_embedders
from edge.recognition.review.rejections import RejectionIndex
from edge.recognition.score_policy import policy_of
from edge.recognition.store.collections import Collections
from edge.recognition.subject_search import SubjectSearch

if TYPE_CHECKING:
    from edge.core.settings.schema import Settings
    from edge.core.settings.vision import LabelSettings
    from edge.inference.detector import Detector
    from edge.inference.embedder import Embedder
    from edge.inference.face_attributes import AttributeModel
    from edge.inference.text_recognizer import TextRecognizer
    from edge.recognition.store.collection import Collection

log = logging.getLogger(__name__)

OPENING = 300
"""seconds that a start may take for one collection: a million faces are read, or their index is verified"""
VOTE_QUALITY = 0.4
"""of a crop, from which a look may vote for a name; with normalized scores poorer ones err no more often (measured on
5,000 looks at moving stills), but they are seldom alike enough to be right"""


@dataclass(frozen=True)
class LoadedModels:
    """A model set, and what could not be loaded."""

    model_set: ModelSet
    problems: Mapping[str, str]
    """part -> error and hint; the rest works"""
    models: Mapping[str, str]
    """name -> sha256 of what was loaded"""


def load_model_set(
    settings: Settings,
    state: Path,
    collections: Collections,
    release: str = "",
    replaces: Mapping[str, str] = MappingProxyType({}),
) -> LoadedModels:
    """Models and collections as the settings in force name them.

    ``release``: whose custom labels come first; ``replaces``: models that it has put in the place of others.

    A detector or a recognizer that cannot be used is reported as a problem; the daemon works without it. Raises
    the error of the detector where none at all can be used.
    """
    problems: dict[str, str] = {}
    settings = with_recorded_embedders(settings, state)
    detectors = _detectors(settings, state, problems)
    recognizers: dict[str, FaceRecognizer] = {}
    embedders: dict[str, Embedder] = {}

    def embedder_of(name: str) -> Embedder:
        if name not in embedders:
            embedders[name] = load.load_embedder(name, settings.models, state)
        return embedders[name]

    anchors = RejectionIndex(state)
    for name, label in settings.labels.items():
        if not label.embedder or not any(name in detector.labels for detector in detectors.values()):
            continue
        try:
            embedder = embedder_of(label.embedder)
            collection = _collection(collections, label, embedder)
            search = SubjectSearch(collection, embedder.scorer, policy_of(settings, name), anchors)
            recognizers[name] = FaceRecognizer(embedder, search, _rules(settings, label, search))
        except EdgeError as error:
            problems[f"labels.{name}"] = f"{name} is detected but not recognized: {error}"
            log.error("%s is detected but not recognized: %s", name, error)
    classifiers = _load_classifiers(settings, state, release, replaces, embedder_of, problems)
    attributes = _attributes(settings, state, problems)
    text_recognizer = _text_recognizer(settings, state, problems, detectors)
    scores = {name: _score(name, label, detectors) for name, label in settings.labels.items()}
    used: list[Detector | Embedder | AttributeModel | TextRecognizer] = [*detectors.values(), *embedders.values()]
    used += [one for one in (attributes, text_recognizer) if one]
    loaded = {one.card.name: one.model.sha256 for one in used}
    bundle = ModelSet(release, detectors, scores, recognizers, classifiers, text_recognizer, attributes)
    return LoadedModels(bundle, problems, loaded)


def _detectors(settings: Settings, state: Path, problems: dict[str, str]) -> dict[str, Detector]:
    """By the name that the cameras use."""
    detectors: dict[str, Detector] = {}
    failure: EdgeError | None = None
    for name in dict.fromkeys(name for camera in settings.cameras for name in camera.detectors):
        try:
            detectors[name] = load.load_detector(name, settings.models, state)
        except (ModelError, NotFoundError) as error:
            failure = error
            problems[f"detector {name}"] = str(error)
            log.error("detector %s cannot be used: %s", name, error)
    if failure is not None and not detectors:
        raise failure
    return detectors


def _attributes(settings: Settings, state: Path, problems: dict[str, str]) -> AttributeModel | None:
    """The model of face attributes, where events are to carry some."""
    if not settings.recognition.attributes:
        return None
    try:
        return load.load_attributes(settings.recognition.attribute_model, settings.models, state)
    except (ModelError, NotFoundError) as error:
        problems["attributes"] = f"events carry no attributes of faces: {error}"
        log.error("events carry no attributes of faces: %s", error)
        return None


def _text_recognizer(
    settings: Settings, state: Path, problems: dict[str, str], detectors: Mapping[str, Detector]
) -> TextRecognizer | None:
    """The text recognizer, where a detector of a camera has the label ``text`` and it is configured."""
    if TEXT not in settings.labels or not any(TEXT in detector.labels for detector in detectors.values()):
        return None
    try:
        return load.load_recognizer(settings.recognition.text_recognizer, settings.models, state)
    except (ModelError, NotFoundError) as error:
        problems[f"labels.{TEXT}"] = f"text is detected but not recognized: {error}"
        log.error("text is detected but not recognized: %s", error)
        return None


def _load_classifiers(
    settings: Settings,
    state: Path,
    release: str,
    replaces: Mapping[str, str],
    embedder_of: Callable[[str], Embedder],
    problems: dict[str, str],
) -> dict[str, LabelClassifier]:
    """The custom labels that cameras name."""
    classifiers: dict[str, LabelClassifier] = {}
    for name in custom_labels.named(settings):
        try:
            classifiers[name] = custom_labels.load_classifier(name, settings, state, release, replaces, embedder_of)
        except EdgeError as error:
            problems[custom_labels.part(name)] = str(error)
            log.error("custom labels %s disabled: %s", name, error)
    return classifiers


def _collection(collections: Collections, label: LabelSettings, embedder: Embedder) -> Collection:
    """The label's collection, made where it does not exist. Raises SpaceError for one of another space."""
    sdnotify.extend_start_timeout(OPENING)
    collection = collections.get_or_create(label.collection)
    collection.check_space(embedder.space)
    return collection


def _rules(settings: Settings, label: LabelSettings, search: SubjectSearch) -> VotingRules:
    nats = search.scorer.calibration.log_likelihood_ratio
    return VotingRules(
        evidence=lambda match: nats(match.likeness),
        needed=lambda: nats(search.latest_needed),  # asked after each search
        margin=label.margin,
        votes=settings.recognition.votes,
        good_quality=VOTE_QUALITY,
    )


def _score(name: str, label: LabelSettings, detectors: Mapping[str, Detector]) -> float:
    """The score that starts a track: the label's own, or the highest of the cards that know it."""
    if label.score is not None:
        return label.score
    return max((d.card.thresholds.score for d in detectors.values() if name in d.labels), default=0.5)
