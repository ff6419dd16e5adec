"""Face extraction: detections of a picture, each with its embedding or the reason for none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.core.errors import SettingsError
from edge.core.imaging.folders import files_below
from edge.core.settings.schema import Settings
from edge.core.settings.vision import LabelSettings, RecognitionSettings
from edge.core.types import Detection, Embedding, Picture, Quality
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.inference.pool import ModelPool
from edge.inference.tiling import Tiling
from edge.recognition.look_quality import declined

UNSET = LabelSettings()


@dataclass(frozen=True, slots=True)
class ExtractedFace:
    """A detection, with its embedding if the quality suffices."""

    detection: Detection
    quality: Quality
    embedding: Embedding | None
    reason: str
    """code of ``Quality.reason`` or ``low_quality`` if there is no embedding; else empty"""


class FaceExtractor:
    """Detects one label in pictures and embeds it. Not thread-safe."""

    def __init__(
        self,
        label: str,
        detectors: Sequence[Detector],
        embedder: Embedder,
        score: float | None,
        recognition: RecognitionSettings,
    ) -> None:
        self.label = label
        self.embedder = embedder
        self.detectors = detectors
        self.tiles = 0
        """maximum number of tiles, for small faces"""
        self._score = score
        self._recognition = recognition

    def detect(self, picture: Picture) -> list[Detection]:
        """Detections of the label, largest first."""
        found: list[Detection] = []
        for detector in self.detectors:
            score = detector.card.thresholds.score if self._score is None else self._score
            seen = detector.detect(picture, {self.label: score})
            if self.tiles:
                seen = Tiling(self.tiles).add(detector, seen, picture, scores={self.label: score})
            found += seen
        return sorted(found, key=lambda detection: -detection.box.area)

    def embed(self, picture: Picture, detections: Sequence[Detection]) -> list[ExtractedFace]:
        """Each detection with its embedding or the reason why it has none, in order."""
        qualities = [self.embedder.assess(picture, detection) for detection in detections]
        reasons = [declined(quality, self._recognition, self.embedder.quality_floor) for quality in qualities]
        good = [detection for detection, reason in zip(detections, reasons, strict=True) if not reason]
        embeddings = iter(self.embedder.embed(picture, good, still=True))
        return [
            ExtractedFace(detection, quality, None if reason else next(embeddings), reason)
            for detection, quality, reason in zip(detections, qualities, reasons, strict=True)
        ]


def load(
    settings: Settings,
    state: Path,
    label: str,
    detectors: Sequence[str] = (),
    embedder: str = "",
    models: ModelPool | None = None,
) -> FaceExtractor:
    """The extractor of ``label`` with the configured models, or the given ones instead.

    ``models``: a pool of the calling thread; None: load them for this extractor only.

    Raises SettingsError if no model detects or embeds the label, NotFoundError and ModelError for a model.
    """
    pool = ModelPool(settings.models, state) if models is None else models
    section = settings.labels.get(label, UNSET)
    name = embedder or section.embedder
    if not name:
        raise SettingsError(f"label {label!r} has no embedder", f"name one with --embedder or in [labels.{label}]")
    names = detectors or tuple(dict.fromkeys(name for camera in settings.cameras for name in camera.detectors))
    loaded = [pool.detector(name) for name in names]
    able = [detector for detector in loaded if label in detector.labels]
    if not able:
        raise SettingsError(f"none of the detectors {', '.join(names)} finds {label!r}", "name one with --detector")
    return FaceExtractor(label, able, pool.embedder(name), section.score, settings.recognition)


NOTES = {".md", ".txt", ".toml", ".json", ".csv"}
"""suffixes of common files beside pictures, which are skipped; any other file that is not a picture is reported"""


def image_files(path: Path) -> list[Path]:
    """The file, or the files of a folder (``files_below``) without the skipped suffixes. Raises InputError."""
    return [file for file in files_below(path) if file.suffix.lower() not in NOTES or file == path]
