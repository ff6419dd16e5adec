"""QualityFilter: which faces of a picture are indexed or searched, and Rekognition's reasons for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.api.rekognition.shapes import DetectedFace

REASONS = {
    "too_small": "SMALL_BOUNDING_BOX",
    "blurred": "LOW_SHARPNESS",
    "turned_away": "EXTREME_POSE",
    "dark": "LOW_BRIGHTNESS",
    "cut_off": "LOW_FACE_QUALITY",
}
"""Quality.reason -> Reason"""


@dataclass(frozen=True)
class QualityBar:
    """Minimum quality for a face to pass."""

    quality: float
    """Quality.score, 0..1"""
    confidence: float
    """the detector's score, 0..1"""
    refuse_reasons: bool = True
    """refuse faces that are not worth embedding, whatever their score"""


BARS = {
    "NONE": QualityBar(0.0, 0.0, refuse_reasons=False),
    "LOW": QualityBar(0.05, 0.0),
    "AUTO": QualityBar(0.15, 0.5),
    "MEDIUM": QualityBar(0.35, 0.6),
    "HIGH": QualityBar(0.6, 0.7),
}


@dataclass(frozen=True)
class UnindexedFace:
    """A face that was not indexed, with at least one reason."""

    seen: DetectedFace
    reasons: tuple[str, ...]


def sort_out(faces: Sequence[DetectedFace], level: str) -> tuple[list[DetectedFace], list[UnindexedFace]]:
    """Faces that pass ``level``, and those that do not, each in their original order."""
    passed, refused = [], []
    for seen in faces:
        reasons = _reasons(seen, BARS[level])
        if reasons:
            refused.append(UnindexedFace(seen, reasons))
        else:
            passed.append(seen)
    return passed, refused


def best_of(faces: Sequence[DetectedFace], most: int) -> tuple[list[DetectedFace], list[UnindexedFace]]:
    """At most ``most`` faces, largest first. The lowest quality is dropped first, among equals the smallest box."""
    ranked = sorted(faces, key=lambda seen: (round(seen.quality.score, 2), seen.area), reverse=True)
    kept = sorted(ranked[:most], key=lambda seen: seen.area, reverse=True)
    return kept, [UnindexedFace(seen, ("EXCEEDS_MAX_FACES",)) for seen in ranked[most:]]


def _reasons(seen: DetectedFace, bar: QualityBar) -> tuple[str, ...]:
    reasons = []
    if bar.refuse_reasons and seen.quality.reason:
        reasons.append(REASONS.get(seen.quality.reason, "LOW_FACE_QUALITY"))
    if seen.detection.score < bar.confidence:
        reasons.append("LOW_CONFIDENCE")
    if not reasons and seen.quality.score < bar.quality:
        reasons.append("LOW_FACE_QUALITY")
    return tuple(reasons)
