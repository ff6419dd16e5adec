"""An example: a picture and what it shows."""

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
"""name of the folder, or the label in CSV, of pictures that show none of the labels"""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A label of a whole picture, or of a box in it."""

    label: str
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A picture and what it shows. No marks: none of the labels."""

    path: Path
    marks: tuple[Annotation, ...] = ()
    source: str = ""
    """as the manifest names it"""

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(mark.label for mark in self.marks)

    @property
    def boxed(self) -> bool:
        return any(mark.box is not None for mark in self.marks)


def is_file_there(path: Path) -> bool:
    """Whether a file is there; a name that no file system takes is not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def label_name(value: object) -> str:
    """Raises InputError for what is no name of a label."""
    name = unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else ""
    if 0 < len(name) <= LONGEST_LABEL and name.isprintable():
        return name
    raise InputError(f"expected a label of 1 to {LONGEST_LABEL} printable characters", code="label")


def box_of(left: float, top: float, right: float, bottom: float) -> Box:
    """A box of an example. Raises InputError for one that is no place in a picture."""
    if not all(map(math.isfinite, (left, top, right, bottom))):
        raise InputError("a box is not finite", code="manifest")
    box = Box(left, top, right, bottom).clipped()
    if left >= right or top >= bottom or box.area <= 0:
        raise InputError("a box is empty, or outside the picture", code="manifest")
    return box


@dataclass(frozen=True, slots=True)
class ConfirmedExample:
    """An embedding, and what it shows."""

    question: int
    """that was answered; negative: the picture whose boxes were corrected"""
    label: str | None
    """None: none of the labels"""
    vector: FloatArray
