"""Examples: pictures with their labels."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.core.errors import InputError
from edge.core.types import Box

if TYPE_CHECKING:
    from edge.core.types import FloatArray

LONGEST_LABEL = 255
NEGATIVE = "_negative"
"""folder name, or label in CSV, of negative examples"""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A label of a whole picture, or of a box in it."""

    label: str
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A picture with its annotations; no annotations: a negative example."""

    path: Path
    marks: tuple[Annotation, ...] = ()
    source: str = ""
    """path or URL in the manifest"""

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(mark.label for mark in self.marks)

    @property
    def boxed(self) -> bool:
        return any(mark.box is not None for mark in self.marks)


def is_file_there(path: Path) -> bool:
    """Whether a file exists; False for a name that the file system rejects."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def label_name(value: object) -> str:
    """A valid label name. Raises InputError for any other value."""
    name = unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else ""
    if 0 < len(name) <= LONGEST_LABEL and name.isprintable():
        return name
    raise InputError(f"expected a label of 1 to {LONGEST_LABEL} printable characters", code="label")


def box_of(left: float, top: float, right: float, bottom: float) -> Box:
    """A box of an example, fractions 0..1. Raises InputError for a box that is empty or outside the picture."""
    if not all(map(math.isfinite, (left, top, right, bottom))):
        raise InputError("a box is not finite", code="manifest")
    box = Box(left, top, right, bottom).clipped()
    if left >= right or top >= bottom or box.area <= 0:
        raise InputError("a box is empty, or outside the picture", code="manifest")
    return box


@dataclass(frozen=True, slots=True)
class ConfirmedExample:
    """An embedding with its confirmed label."""

    question: int
    """number of the answered question; negative: of the picture with corrected boxes"""
    label: str | None
    """None: none of the labels"""
    vector: FloatArray
