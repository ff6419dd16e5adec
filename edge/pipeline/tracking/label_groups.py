"""Labels that detectors confuse, and things that are reported under two of them.

A detector calls the same car ``car`` in one frame, ``truck`` in the next and ``bus`` and ``car`` at once in a third.
Tracks therefore live in a family of labels; a label that is not in the table is a family of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge.core.types import Detection

FAMILIES = (
    ("car", "truck", "bus", "train"),
    ("bicycle", "motorcycle"),
    ("cat", "dog", "bear", "horse", "sheep", "cow"),
    ("backpack", "handbag", "suitcase"),
)
_FAMILY = {label: family[0] for family in FAMILIES for label in family}

SAME_PLACE = 0.5
"""intersection over union from which two boxes of different labels are one thing"""


def family(label: str) -> str:
    """The family of a label, by the name of its first member."""
    return _FAMILY.get(label, label)


def by_family(detections: Sequence[Detection]) -> dict[str, list[Detection]]:
    """The detections of each family, best first; of those in one place under two labels, the best."""
    families: dict[str, list[Detection]] = {}
    for detection in sorted(detections, key=lambda d: -d.score):
        kept = families.setdefault(family(detection.label), [])
        if not any(d.label != detection.label and d.box.iou(detection.box) >= SAME_PLACE for d in kept):
            kept.append(detection)
    return families
